"""Every registered plugin keeps the promises of its kind."""

import pytest

from anomalib_federated import registry
from anomalib_federated.testing import check_plugin, checks
from anomalib_federated_plugins.strategy.diversity_preserving import DiversityPreserving
from anomalib_federated_plugins.strategy.fair_coreset import FairCoreset
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset
from anomalib_federated_plugins.strategy.refinement import Refinement
from anomalib_federated_plugins.strategy.weighted import Weighted

NEED_A_FILE = {"from_file", "trusted_reference"}
"""These do what their file says; their own tests run the checks with files that fit the checks' pictures and banks."""

CASES = [
    pytest.param(kind, name, check, id=f"{kind}-{name}-{check.__name__}")
    for kind in registry.INTERFACES
    for name in registry.available(kind)
    if name not in NEED_A_FILE
    for check in checks(kind)
]


class SmallFederatedCoreset(FederatedCoreset):
    """The default budget is larger than any bank of the checks; here rows are dropped."""

    def __init__(self):
        super().__init__(budget=5, seed=1)


class RandomFederatedCoreset(FederatedCoreset):
    """Likewise, by another coreset and a share."""

    def __init__(self):
        super().__init__(budget=0.4, coreset="random")


class SmallWeighted(Weighted):
    """By patches, of which sites with few rows may have many."""

    def __init__(self):
        super().__init__(budget=6, by="patches", seed=2)


class SmallDiversityPreserving(DiversityPreserving):
    """A declared share that is no whole number of rows."""

    def __init__(self):
        super().__init__(budget=11, minimum_share=0.7, seed=3)


class RandomDiversityPreserving(DiversityPreserving):
    """Equal parts, a share as budget, and another coreset for what is sure."""

    def __init__(self):
        super().__init__(budget=0.5, minimum_share=1.0, coreset="random")


class SmallRefinement(Refinement):
    """Merged from stored banks, as any other."""

    def __init__(self):
        super().__init__(budget=5, first=0.3)


class SmallFairCoreset(FairCoreset):
    """Sites as groups."""

    def __init__(self):
        super().__init__(budget=5, seed=2)


class FairToCategories(FairCoreset):
    """One budget for all, of a share of the rows."""

    def __init__(self):
        super().__init__(budget=0.4, fairness="min_max", group_by="category")


class UnfairToCategories(FairCoreset):
    """A rule that promises a category nothing."""

    def __init__(self):
        super().__init__(budget=3, fairness="none", group_by="category")


@pytest.mark.parametrize(("kind", "name", "check"), CASES)
def test_registered(kind, name, check):
    check(registry.load(kind, name))


SMALL = [
    SmallFederatedCoreset,
    RandomFederatedCoreset,
    SmallWeighted,
    SmallDiversityPreserving,
    RandomDiversityPreserving,
    SmallRefinement,
    SmallFairCoreset,
    FairToCategories,
    UnfairToCategories,
]


@pytest.mark.parametrize("plugin", SMALL)
def test_strategies_that_drop_rows(plugin):
    check_plugin("strategy", plugin)
