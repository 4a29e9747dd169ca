"""Partitions out of files."""

import logging

import pytest

from anomalib_federated.data.partition_file import Partition, PartitionError, write_partition
from anomalib_federated.interfaces.partitioner import TrainingImage
from anomalib_federated.testing import check_plugin, partitioner
from anomalib_federated_plugins.partitioner.from_file import FromFilePartitioner
from anomalib_federated_plugins.partitioner.iid import IIDPartitioner

IMAGES = [TrainingImage(c, f"{c}/train/good/{i}.png") for c in ("nut", "wing") for i in range(3)]
SITES = {
    "south": ["nut/train/good/0.png", "wing/train/good/2.png", "nut/train/good/2.png"],
    "north": ["wing/train/good/0.png", "wing/train/good/1.png"],
    "east": ["nut/train/good/1.png"],
}


@pytest.fixture
def file(tmp_path):
    return write_partition(tmp_path / "partition.json", Partition(sites=SITES))


def test_sites_hold_what_the_file_says(file):
    parts = FromFilePartitioner(path=file).partition(IMAGES, seed=7)
    assert parts == {"east": [1], "north": [3, 4], "south": [0, 2, 5]}
    assert list(parts) == sorted(parts)


def test_it_keeps_the_promises_of_partitioners(tmp_path):
    images = partitioner._images()
    parts = IIDPartitioner(sites=3).partition(images, seed=5)
    sites = {site: [images[i].name for i in part] for site, part in parts.items()}
    path = write_partition(tmp_path / "partition.json", Partition(sites=sites))

    class OfTheChecks(FromFilePartitioner):
        def __init__(self):
            super().__init__(path=path)

    check_plugin("partitioner", OfTheChecks)


def test_images_that_are_held_out_are_left_out_and_counted(file, caplog):
    caplog.set_level(logging.INFO)
    parts = FromFilePartitioner(path=file).partition([IMAGES[0], *IMAGES[2:]])
    assert parts == {"north": [2, 3], "south": [0, 1, 4]}
    assert "lists 6 images; 1 of them are not shared out in this run" in caplog.text
    assert "without images in this run, and left out: east." in caplog.text


def test_nothing_is_said_when_all_are_shared_out(file, caplog):
    caplog.set_level(logging.INFO)
    FromFilePartitioner(path=file).partition(IMAGES)
    assert caplog.text == ""


def test_an_image_that_is_not_listed_is_refused(file):
    more = [TrainingImage("nut", "nut/train/good/9.png"), *IMAGES, TrainingImage("nut", "nut/train/good/8.png")]
    with pytest.raises(PartitionError, match=r"does not list 2 of the 8 training images, such as nut/train/good/8.png"):
        FromFilePartitioner(path=file).partition(more)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(PartitionError, match=r"There is no partition file .*absent.json; make one with"):
        FromFilePartitioner(path=str(tmp_path / "absent.json")).partition(IMAGES)
