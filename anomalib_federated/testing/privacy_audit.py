"""A promise about pictures is attacked, see :mod:`anomalib_federated.audit`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from anomalib_federated import registry
from anomalib_federated.audit import Selecting, audit, generated_pictures, target_of
from anomalib_federated.audit.target import Target
from anomalib_federated.interfaces.privacy import BankPrivacy, Privacy
from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.noise import STEPS, Noise
from anomalib_federated.testing.banks import example_bank

PICTURES, RUNS, ROWS = 12, 1000, 64
CONFIDENCE = 0.999
"""All choices are seeded, so a sound plugin passes always or, one in a thousand, never."""


class RoundedNoise(Noise):
    """Rounded Gaussian numbers: what sets them apart from exact ones, no audit could see, and they come much faster."""

    def __init__(self) -> None:
        super().__init__()
        self._generator = np.random.default_rng(0)

    def draw(self, count: int) -> Integers:
        """Independent numbers."""
        return np.rint(self._generator.normal(0, STEPS, count)).astype(np.int64)


def an_audit_finds_no_more_than_is_claimed(plugin: type[Privacy]) -> None:
    """Whoever knows all pictures but one learns no more of it than is promised, whatever the coreset."""
    space = example_bank().space
    pictures = generated_pictures(PICTURES, dim=space.dim, seed=0)
    for target, setting in _targets(plugin(), pictures):
        if target.report.per_picture:
            found = audit(
                target, pictures, setting=setting, runs=RUNS, membership_runs=0, confidence=CONFIDENCE, seed=0
            )
            assert not found.refuted, f"{' '.join(found.in_words)} ({setting})"


def _targets(privacy: Privacy, pictures: Tensor) -> Iterator[tuple[Target[Any, Any], str]]:
    space = example_bank().space
    if not isinstance(privacy, BankPrivacy):
        yield target_of(privacy, pictures, space=space, noise=RoundedNoise()), "sums"
        return
    for name in ("k_center", "random"):
        coreset = registry.build("coreset", name, budget=ROWS)
        selecting = Selecting(coreset=coreset, name=name)
        try:
            target = target_of(privacy, pictures, space=space, selecting=selecting, noise=RoundedNoise())
        except ValueError:  # it makes no promise about rows that are chosen so
            continue
        yield target, f"rows chosen by {name}"
