"""What a reference refuses, and which files are none."""

from dataclasses import replace

import pytest
import torch
from scipy.spatial.distance import cdist

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.models.reference_bank import CLEAN, DEFECTS
from anomalib_federated.testing import check_plugin, example_bank
from anomalib_federated_plugins.screening.trusted_reference import TrustedReference


def reference_of(category="screw", *, dim=8):
    """Clean rows like those of the example banks at an offset of 3, and defects on the other side."""
    return [
        example_bank(site=CLEAN, rows=30, dim=dim, category=category, seed=50, offset=3.0),
        example_bank(site=DEFECTS, rows=10, dim=dim, category=category, seed=51, offset=-3.0),
    ]


@pytest.fixture
def reference(tmp_path):
    """A file with references of two categories."""
    bank = MemoryBank.merge([*reference_of(), *reference_of("nut")])
    return str(bank.save(tmp_path / "reference.safetensors"))


def test_rows_on_the_side_of_the_defects_are_refused(reference):
    mixed = torch.cat([example_bank(offset=3.0).features[:12], example_bank(offset=-3.0).features[12:]])
    banks = [example_bank(site="a", seed=1, offset=3.0), replace(example_bank(site="b"), features=mixed)]
    (refusal,) = TrustedReference(reference=reference).screen(banks)
    assert (refusal.site, refusal.rows.tolist()) == ("b", [False] * 12 + [True] * 4)
    assert refusal.reason.startswith("4 rows are nearer to a synthetic defect of the reference than to its clean ")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("offset", [0.0, 0.5])
def test_each_row_alone_decides(reference, dtype, offset):
    """Brute force, in the middle between good and bad; one site alone is enough."""
    bank = example_bank(rows=200, seed=5, offset=offset).to(dtype)
    clean, defects = (each.features.double().numpy() for each in reference_of())
    rows = bank.features.double().numpy()
    expected = cdist(rows, defects).min(1) < cdist(rows, clean).min(1)
    (refusal,) = TrustedReference(reference=reference).screen([bank])
    assert 0 < expected.sum() < len(expected)
    assert refusal.rows.tolist() == expected.tolist()


def test_the_category_of_the_banks_is_looked_up(reference):
    bank = example_bank(category="nut", offset=-3.0)
    (refusal,) = TrustedReference(reference=reference).screen([bank])
    assert bool(refusal.rows.all())


def test_it_keeps_the_promises_of_screenings(reference):
    class WithReference(TrustedReference):
        def __init__(self):
            super().__init__(reference=reference)

    check_plugin("screening", WithReference)


def test_without_a_reference_it_says_how_to_make_one():
    with pytest.raises(ValueError, match=r"has no reference; make one .* 'anomalib-federated bank reference "):
        TrustedReference().screen([example_bank()])


def test_a_missing_file_is_told_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"finds no reference at .*none.safetensors; make one of a few"):
        TrustedReference(reference=str(tmp_path / "none.safetensors"))


def test_a_bank_of_sites_is_no_reference(tmp_path):
    path = example_bank(site="plant-a").save(tmp_path / "bank.safetensors")
    with pytest.raises(BankError, match="is a bank of plant-a, which is no reference"):
        TrustedReference(reference=str(path))


def test_a_reference_with_half_a_category_is_none(tmp_path):
    path = MemoryBank.merge([*reference_of(), reference_of("nut")[0]]).save(tmp_path / "half.safetensors")
    with pytest.raises(BankError, match="which is no reference"):
        TrustedReference(reference=str(path))


def test_a_damaged_file_is_refused_by_name(tmp_path, reference):
    path = tmp_path / "damaged.safetensors"
    with open(reference, "rb") as file:  # noqa: PTH123
        data = bytearray(file.read())
    at = data.find(MemoryBank.load(reference).features[:1].numpy().tobytes())
    data[at : at + 4] = b"\x00\x00\xc0\x7f"  # a NaN in the first feature
    path.write_bytes(bytes(data))
    with pytest.raises(BankError, match=r"damaged\.safetensors is not a valid memory bank .*NaN"):
        TrustedReference(reference=str(path))


def test_another_feature_space_is_told_by_its_field(reference):
    bank = example_bank()
    other = replace(bank, space=replace(bank.space, weights="1" * 64))
    with pytest.raises(BankError, match=r"made by other settings: weights is .* make it again, with --agreement"):
        TrustedReference(reference=reference).screen([other])


def test_a_category_without_reference_is_told(reference):
    with pytest.raises(BankError, match="has no category 'bolt', only screw, nut; make one"):
        TrustedReference(reference=reference).screen([example_bank(category="bolt")])
