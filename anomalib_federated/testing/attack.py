"""What every attack promises, see :mod:`anomalib_federated.interfaces.attack`."""

from __future__ import annotations

from anomalib_federated.testing.construction import can_be_made_without_arguments

CHECKS = (can_be_made_without_arguments,)
