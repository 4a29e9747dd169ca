"""The framework's promises, checked on the classes that the entry points lead to."""

import pytest

from anomalib_federated import registry, testing


@pytest.mark.parametrize(("kind", "name"), [("coreset", "k_means_seeding"), ("strategy", "capped_sites")])
def test_conformance(kind: str, name: str) -> None:
    testing.check_plugin(kind, registry.load(kind, name))
