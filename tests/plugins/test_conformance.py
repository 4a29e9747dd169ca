"""Every registered plugin keeps the promises of its kind."""

import pytest

from anomalib_federated import registry
from anomalib_federated.testing import check_plugin, checks
from anomalib_federated_plugins.strategy.federated_coreset import FederatedCoreset

CASES = [
    pytest.param(kind, name, check, id=f"{kind}-{name}-{check.__name__}")
    for kind in registry.INTERFACES
    for name in registry.available(kind)
    if name != "from_file"  # does what its file says; test_from_file.py checks it with one for the checks' images
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


@pytest.mark.parametrize(("kind", "name", "check"), CASES)
def test_registered(kind, name, check):
    check(registry.load(kind, name))


@pytest.mark.parametrize("plugin", [SmallFederatedCoreset, RandomFederatedCoreset])
def test_federated_coreset_when_it_drops_rows(plugin):
    check_plugin("strategy", plugin)
