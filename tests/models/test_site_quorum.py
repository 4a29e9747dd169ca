"""A patch is as normal as its q-th nearest site says, whatever fewer than q sites send."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from anomalib_federated.bank import BankError, MemoryBank
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.category_rows import CategoryRows
from anomalib_federated.models.image_score import ImageScore
from anomalib_federated.models.patch_scorer import PatchScorer
from anomalib_federated.testing import example_bank

DIM = 6
IMAGE = torch.Size((24, 24))
COUNTS = st.lists(st.integers(1, 7), min_size=3, max_size=5)


def bank_of(sites: dict[str, torch.Tensor]) -> MemoryBank:
    banks = [replace(example_bank(rows=len(rows), dim=DIM, site=name), features=rows) for name, rows in sites.items()]
    return MemoryBank.merge(banks)


def drawn(counts: list[int], seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {f"site-{number}": torch.randn(n, DIM, generator=generator) for number, n in enumerate(counts)}


def patches(seed: int) -> torch.Tensor:
    return torch.randn(2, DIM, 3, 4, generator=torch.Generator().manual_seed(seed + 1))


def distances(sites: dict[str, torch.Tensor], embedding: torch.Tensor, quorum: int) -> torch.Tensor:
    rows = CategoryRows.of(bank_of(sites), site_quorum=quorum)
    return PatchScorer(ImageScore("max"), site_quorum=quorum).nearest(embedding, rows)[0]


def by_hand(sites: dict[str, torch.Tensor], embedding: torch.Tensor, quorum: int) -> np.ndarray:
    queries = embedding.permute(0, 2, 3, 1).reshape(-1, DIM).double().numpy()
    nearest = [cdist(queries, rows.double().numpy()).min(1) for rows in sites.values()]
    return np.sort(np.stack(nearest), 0)[quorum - 1]


@settings(max_examples=30, deadline=None)
@given(counts=COUNTS, quorum=st.integers(1, 3), seed=st.integers(0, 99))
def test_distances_and_rows_are_those_of_scipy(counts: list[int], quorum: int, seed: int) -> None:
    sites, embedding = drawn(counts, seed), patches(seed)
    bank = bank_of(sites)
    scorer = PatchScorer(ImageScore("max"), site_quorum=quorum)
    rows = CategoryRows.of(bank, site_quorum=quorum)
    found, owners, queries = scorer.nearest(embedding, rows)
    np.testing.assert_allclose(found.numpy(), by_hand(sites, embedding, quorum), atol=1e-5)
    centred = bank.features - rows.centre
    np.testing.assert_allclose((queries - centred[rows.in_bank(owners)]).norm(dim=1).numpy(), found.numpy(), atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(counts=COUNTS, seed=st.integers(0, 99), far=st.sampled_from([0.0, 1.0, 100.0]))
def test_one_bad_site_neither_hides_a_defect_nor_raises_an_alarm(counts: list[int], seed: int, far: float) -> None:
    """Between the nearest and the second nearest of the honest sites, whatever the bad one sends."""
    sites, embedding = drawn(counts, seed), patches(seed)
    honest = {name: rows for name, rows in sites.items() if name != "site-0"}
    copies = embedding.permute(0, 2, 3, 1).reshape(-1, DIM)  # the very patches that are scored
    found = distances(honest | {"site-0": copies + far}, embedding, 2).numpy()
    assert (found >= by_hand(honest, embedding, 1) - 1e-4).all()
    assert (found <= by_hand(honest, embedding, 2) + 1e-4).all()


def test_with_a_quorum_of_one_the_same_site_hides_it() -> None:
    sites, embedding = drawn([4, 5, 6], 0), patches(0)
    copies = embedding.permute(0, 2, 3, 1).reshape(-1, DIM)
    assert distances(sites | {"site-0": copies}, embedding, 1).max() < 1e-2
    assert distances(sites | {"site-0": copies}, embedding, 2).min() > 0.1


def test_the_order_of_sites_and_rows_changes_nothing() -> None:
    sites, embedding = drawn([4, 1, 6], 3), patches(3)
    turned = {name: rows.flip(0) for name, rows in reversed(sites.items())}
    assert torch.allclose(distances(sites, embedding, 2), distances(turned, embedding, 2), atol=1e-6)


def test_graphs_compare_as_torch_does() -> None:
    scorer = PatchScorer(ImageScore("max"), site_quorum=2)
    rows, others = (CategoryRows.of(bank_of(drawn(counts, 5)), site_quorum=2) for counts in ([4, 2, 3], [1, 6, 2, 5]))

    class Graph(torch.nn.Module):
        def forward(self, embedding: torch.Tensor, rows: torch.Tensor, centre: torch.Tensor, blocks: torch.Tensor):
            return scorer.nearest(embedding, CategoryRows(rows, centre, blocks=blocks))[:2]

    def inputs(which: CategoryRows) -> tuple[torch.Tensor, ...]:
        return patches(5), which.rows, which.centre, which.blocks

    trace = torch.jit.trace(Graph(), inputs(rows))
    for which in (rows, others):  # one graph for any number of sites
        expected = scorer.nearest(patches(5), which)
        found = trace(*inputs(which))
        assert torch.allclose(found[0], expected[0], atol=1e-5)
        assert torch.equal(found[1], expected[1])


@pytest.mark.parametrize("quorum", [0, -1, True, 1.5, "2"])
def test_a_quorum_that_is_no_number_of_sites_is_refused(quorum: object) -> None:
    with pytest.raises(ValueError, match=r"site_quorum is .*give a number of sites"):
        PatchScorer(ImageScore("max"), site_quorum=quorum)  # type: ignore[arg-type]


def test_a_rule_that_weights_by_rows_of_all_sites_is_refused() -> None:
    with pytest.raises(ValueError, match="The rule reweighted weights by rows of all sites"):
        FederatedPatchcore(score="reweighted", site_quorum=2)


def test_too_few_sites_are_named_with_what_to_do() -> None:
    with pytest.raises(BankError, match=r"category 'screw' has rows of 1 site in the bank; choose a lower quorum"):
        CategoryRows.of(example_bank(rows=3), site_quorum=2)
    with pytest.raises(BankError, match="has rows of 3 sites"):
        CategoryRows.of(bank_of(drawn([1, 1, 1], 0)), site_quorum=4)


def test_rows_with_places_are_refused() -> None:
    bank = bank_of(drawn([2, 2], 0))
    placed = replace(bank, row_place=torch.tensor([[0.1, 0.1], [0.5, 0.5], [0.9, 0.1], [0.2, 0.2]]))
    with pytest.raises(BankError, match="count at places of their own"):
        CategoryRows.of(placed, site_quorum=2)


def test_a_model_whose_bank_is_refused_keeps_the_one_before() -> None:
    model = FederatedPatchcore(score="max", site_quorum=2)
    wide = {name: torch.randn(3, model.space.dim) for name in ("a", "b")}
    banks = [
        replace(example_bank(rows=3, dim=model.space.dim, site=name), features=rows, space=model.space)
        for name, rows in wide.items()
    ]
    model.bank = MemoryBank.merge(banks)
    with pytest.raises(BankError, match="rows of 1 site"):
        model.bank = banks[0]
    assert model.bank.sites == ("a", "b")


@pytest.mark.parametrize(("arranged_for", "quorum"), [(1, 2), (2, 1)])
def test_rows_arranged_for_another_quorum_are_refused(arranged_for: int, quorum: int) -> None:
    rows = CategoryRows.of(bank_of(drawn([3, 2], 0)), site_quorum=arranged_for)
    scorer = PatchScorer(ImageScore("max"), site_quorum=quorum)
    with pytest.raises(ValueError, match=f"not arranged for a site_quorum of {quorum}"):
        scorer.nearest(patches(0), rows)
    with pytest.raises(ValueError, match=f"not arranged for a site_quorum of {quorum}"):
        scorer.nearest_at(torch.zeros(1, DIM), rows, torch.zeros(1, 2))
