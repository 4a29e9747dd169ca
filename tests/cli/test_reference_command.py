"""``anomalib-federated bank reference``, called as a user calls it."""

import pytest

from anomalib_federated.backbones import Backbone
from anomalib_federated.bank import MemoryBank
from anomalib_federated.cli.main import main
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.testing import example_bank
from anomalib_federated_plugins.screening.trusted_reference import TrustedReference


@pytest.fixture
def agreement(tmp_path):
    """An agreement on small pictures, so that this test takes little time."""
    space = PatchFeatureExtractor(Backbone(), image_size=(64, 64)).space
    path = tmp_path / "agreement.json"
    path.write_text(Agreement(space=space).to_json())
    return path


def call(demo_root, output, *more):
    return main(["bank", "reference", "--data.root", str(demo_root), "--output", str(output), *map(str, more)])


def test_a_reference_is_made_merged_and_used(demo_root, tmp_path, agreement, capsys):
    files = [tmp_path / f"{name}.safetensors" for name in ("pipe_staple", "tank_screw")]
    for file in files:
        options = ("--category", file.stem, "--pictures", 3, "--rows", 100, "--agreement", agreement)
        assert call(demo_root, file, *options) == 0
        said = " ".join(capsys.readouterr().out.split())
        assert "3 pictures of good parts, with a defect of each kind (cut_paste, scar, texture, spot)" in said
        assert "as confidential as a site's bank" in said
    both = tmp_path / "both.safetensors"
    assert main(["bank", "merge", *map(str, files), "--output", str(both)]) == 0
    reference = MemoryBank.load(both)
    assert reference.categories == ("pipe_staple", "tank_screw")
    screening = TrustedReference(reference=str(both))
    for category in reference.categories:
        own = reference.for_category(category)
        clean = own.select((own.row_site == own.sites.index("clean")).nonzero().flatten())
        assert not screening.screen([clean])


def test_mistakes_are_told(demo_root, tmp_path, agreement, capsys):
    output = tmp_path / "reference.safetensors"
    assert call(demo_root, output, "--category", "pipe_staple", "--pictures", 1) == 1
    assert "--pictures is 1, but a reference needs 2 at least" in capsys.readouterr().err
    assert call(demo_root, output, "--category", "bolt", "--agreement", agreement) == 1
    assert "bolt" in capsys.readouterr().err
    agreement.write_text(Agreement(space=example_bank().space).to_json())
    assert call(demo_root, output, "--category", "pipe_staple", "--agreement", agreement) == 1
    assert not output.exists()
