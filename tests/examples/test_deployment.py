"""The deployment that one can copy: real processes, TLS, nodes known by their keys."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from anomalib_federated import registry
from anomalib_federated.data import AutoVI
from anomalib_federated.federation import make_agreement, make_sites, simulate
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.interfaces.partitioner import Partitioner
from anomalib_federated.models import FederatedPatchcore

EXAMPLE = Path(__file__).parents[2] / "examples" / "deployment"
PLANTS = {"plant-a": "pipe_clip", "plant-b": "pipe_staple", "plant-c": "tank_screw"}


class OnePlantEach(Partitioner):
    """Each plant makes one category."""

    def partition(self, images, *, seed=0):
        return {
            plant: [number for number, image in enumerate(images) if image.category == category]
            for plant, category in PLANTS.items()
        }


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What the script leaves."""
    output = tmp_path_factory.mktemp("deployment") / "loopback"
    command = [EXAMPLE / "loopback.py", "--output", output, "--scale", "0.16", "--images", "6", "--side", "64"]
    done = subprocess.run(
        [sys.executable, *map(str, command)], check=False, capture_output=True, text=True
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + "".join(path.read_text() for path in (output / "logs").glob("*"))
    return output


def test_the_global_bank_is_that_of_the_same_sites_in_one_process(output, tmp_path):
    for plant, category in PLANTS.items():
        (tmp_path / category).symlink_to(output / plant / "pictures" / category)
    data = AutoVI(tmp_path, list(PLANTS.values()))
    data.setup()
    model = FederatedPatchcore(budget=500, image_size=(64, 64))
    sites = make_sites(data, OnePlantEach(), extractor=model.model)
    expected = simulate(sites, registry.build("strategy", "federated_coreset", budget=400), make_agreement(model))
    folder = FederationFolder.open(output / "centre" / "folder")
    assert folder.version_bank(1).digest == expected.bank.digest
    assert {site: folder.bank(site).digest for site in folder.sites()} == {
        site: bank.digest for site, bank in expected.site_banks.items()
    }


def test_each_plant_came_over_the_network_and_told_its_figures(output):
    folder = FederationFolder.open(output / "centre" / "folder")
    assert {site: (status.state, status.via) for site, status in folder.statuses().items()} == dict.fromkeys(
        PLANTS, ("in", "flower")
    )
    told = json.loads(folder.version_path(1).with_name("evaluation.json").read_text())
    assert {site: list(scores) for site, scores in told["scores"].items()} == {
        plant: [category] for plant, category in PLANTS.items()
    }
    assert told["not_measured_by"] == told["not_scored_by"] == {}


def test_the_plants_were_asked_by_way_of_the_gate(output):
    log = (output / "logs" / "centre_gate.log").read_text()
    assert log.count('/v1/fleet/activate-node HTTP/1.1" 200') == len(PLANTS)


def test_nothing_is_left_running(output):
    running = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout
    assert str(output) not in running


def test_private_keys_are_readable_by_their_owner_alone(output):
    keys = [*output.glob("*/pki/*.key")]
    assert len(keys) == 2 + len(PLANTS)
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
