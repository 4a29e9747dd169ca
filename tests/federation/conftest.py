"""Sites without pictures: all is real but the extraction, whose result is put in place."""

import importlib

import pytest
import torch
from pandas import DataFrame

from anomalib_federated.backbones import Backbone
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.federation import Agreement, Site
from anomalib_federated.models.patch_collection import PatchCollection
from anomalib_federated.models.patch_features import PatchFeatureExtractor

COLUMNS = ["image_path", "name", "category", "split", "label", "label_index", "mask_path"]


@pytest.fixture(scope="session")
def extractor():
    return PatchFeatureExtractor(Backbone(), image_size=(64, 64))


@pytest.fixture
def agreement(extractor):
    return Agreement(space=extractor.space, budget=5, dtype="float32")


@pytest.fixture
def make_site(extractor):
    """``make_site("a", screw=3)`` is a site that has seen three pictures of screws, of 16 patches each."""

    def make(name, *, seed=0, offset=0.0, **images):
        site = Site(name, InspectionDataset(DataFrame(columns=COLUMNS), {}), extractor=extractor)
        site._patches = PatchCollection(extractor.space)
        generator = torch.Generator().manual_seed(seed)
        for category, count in images.items():
            embedding = torch.randn(count, extractor.space.dim, 4, 4, generator=generator) + offset
            site._patches.add(embedding, [category] * count)
        return site

    return make


@pytest.fixture
def mean_privacy(tmp_path, monkeypatch):
    """Registers a small plugin that learns the mean from sums, as ``mean``: by a distribution on the path."""
    info = tmp_path / "distribution" / "mean-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mean\nVersion: 1\n")
    entry = "[anomalib_federated.privacy]\nmean = tests.privacy.example_sums:MeanPrivacy\n"
    (info / "entry_points.txt").write_text(entry)
    monkeypatch.syspath_prepend(info.parent)
    importlib.invalidate_caches()
    return "mean"
