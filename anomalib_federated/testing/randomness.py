"""Does something depend on the process's random state, or change it?"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

ResultT = TypeVar("ResultT")


def under_two_random_states(compute: Callable[[], ResultT]) -> tuple[ResultT, ResultT]:
    """What ``compute`` gives under two global random states; the state from before is put back.

    Raises:
        AssertionError: If ``compute`` changes the global random state of ``random``, numpy or torch.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        return _under(compute, 1), _under(compute, 2)
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])
        torch.set_rng_state(before[2])


def _under(compute: Callable[[], ResultT], seed: int) -> ResultT:
    random.seed(seed)
    np.random.seed(seed)  # the global generator is what is checked here
    torch.manual_seed(seed)
    before = _fingerprint()
    result = compute()
    names = [name for name, state in _fingerprint().items() if state != before[name]]
    assert not names, f"the global random state of {', '.join(names)} must not change; make a generator from the seed"
    return result


def _fingerprint() -> dict[str, bytes]:
    legacy = np.random.get_state(legacy=False)["state"]
    return {
        "random": repr(random.getstate()).encode(),
        "numpy": legacy["key"].tobytes() + bytes(str(legacy["pos"]), "ascii"),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }
