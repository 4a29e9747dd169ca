"""Conformance checks: does a plugin keep the promises of its kind?

In a plugin's own tests:

    import pytest
    from anomalib_federated.testing import checks

    @pytest.mark.parametrize("check", checks("coreset"), ids=lambda check: check.__name__)
    def test_conformance(check):
        check(MyCoreset)

Coresets are constructed with ``plugin(budget=...)``, plugins of the other kinds with ``plugin()``: any further argument
needs a default.

Example:
    >>> from anomalib_federated.registry import load
    >>> check_plugin("coreset", load("coreset", "k_center"))
    >>> [check.__name__ for check in checks("partitioner")][:2]
    ['fits_the_interface', 'can_be_made_without_arguments']
"""

from anomalib_federated.testing.banks import example_bank
from anomalib_federated.testing.conformance import Check, check_plugin, checks

__all__ = ["Check", "check_plugin", "checks", "example_bank"]
