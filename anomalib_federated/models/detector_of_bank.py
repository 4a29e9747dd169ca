"""The detector of a memory bank, which says what its features are."""

from __future__ import annotations

from typing import Any

from anomalib_federated.bank import MemoryBank
from anomalib_federated.models.federated_patchcore import FederatedPatchcore


def detector_of(bank: MemoryBank, **settings: Any) -> FederatedPatchcore:  # noqa: ANN401 - passed through
    """Make the detector whose features a bank holds, ready to score.

    Args:
        bank: The bank.
        **settings: What a bank does not say, such as ``score``, ``weights`` and ``false_alarm_rate``; see
            :class:`FederatedPatchcore`.

    Raises:
        BackboneError: If the backbone or its weights cannot be had.
        BankError: If the weights are others than the bank's.
        ValueError: If a setting is impossible.
    """
    model = FederatedPatchcore(
        bank.space.backbone,
        bank.space.layers,
        layer_scales=bank.space.layer_scales,
        image_size=bank.space.image_size,
        keep_aspect_ratio=bank.space.keep_aspect_ratio,
        frame=bank.space.frame,
        evaluator=False,
        visualizer=False,
        **settings,
    )
    model.bank = bank
    model.eval()
    return model
