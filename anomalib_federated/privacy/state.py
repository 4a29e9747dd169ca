"""What everybody may know between two rounds of noisy sums."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import torch
from torch import Tensor

from anomalib_federated.untrusted import shown

State: TypeAlias = Mapping[str, Tensor]
"""Floating tensors by name, finite."""
MAX_STATE_NUMBERS = 1 << 26
"""Numbers in a state: more of them, half a gigabyte, no site computes with."""


def check_state(state: State) -> None:
    """Refuse what cannot be known between two rounds.

    Args:
        state: What came; not trusted.

    Raises:
        ValueError: If it holds something else than finite floating tensors under printable names, or too much.
    """
    count = 0
    for name, values in state.items():
        if not isinstance(name, str) or not name.isprintable() or not isinstance(values, Tensor):
            msg = f"The state of the rounds holds {shown(name)}: {type(values).__name__}; it must hold named tensors."
            raise ValueError(msg)
        if (count := count + values.numel()) > MAX_STATE_NUMBERS:
            msg = f"The state of the rounds holds more than the {MAX_STATE_NUMBERS} numbers accepted."
            raise ValueError(msg)
        if not values.is_floating_point() or not bool(torch.isfinite(values).all()):
            msg = f"The tensor {shown(name)} in the state of the rounds is not floating and finite."
            raise ValueError(msg)
