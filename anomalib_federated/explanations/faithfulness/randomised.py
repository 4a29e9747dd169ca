"""Detectors that have forgotten what they learnt, to see whether explanations notice.

Adebayo et al. 2018, *Sanity Checks for Saliency Maps*, https://arxiv.org/abs/1810.03292, section 3. Values are shuffled
rather than drawn anew: each tensor keeps its mean, its spread and every value, and loses only what they meant together.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.models import FederatedPatchcore


def with_randomised_bank(model: FederatedPatchcore, *, seed: int) -> FederatedPatchcore:
    """The same detector, whose bank rows are no patches of anything.

    Args:
        model: The detector; not changed.
        seed: Of the shuffling.
    """
    changed = deepcopy(model)
    changed.bank = randomised_bank(model.bank, seed=seed)
    changed.eval()
    return changed


def with_randomised_backbone(model: FederatedPatchcore, *, seed: int) -> FederatedPatchcore:
    """The same detector and bank, whose network has learnt nothing: the entries of each of its tensors are shuffled.

    Args:
        model: The detector; not changed.
        seed: Of the shuffling.
    """
    changed = deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in changed.model.backbone.network.state_dict().values():
            tensor.copy_(_shuffled(tensor.flatten(), generator).reshape(tensor.shape))
    changed.eval()
    return changed


def randomised_bank(bank: MemoryBank, *, seed: int) -> MemoryBank:
    """A bank of as many rows, whose values are shuffled within each category, over rows and features.

    Shuffled among the rows alone, each feature would keep its range, and whatever lies outside of it would still be
    found: on pictures with synthetic defects the worst patches were then much the same as
    those of the true bank (rank correlation 0.55; 0.35 with all values shuffled).

    Args:
        bank: The bank; not changed.
        seed: Of the shuffling.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> bank = example_bank(rows=5)
        >>> changed = randomised_bank(bank, seed=0)
        >>> torch.equal(changed.features, bank.features)
        False
        >>> torch.equal(changed.features.flatten().sort().values, bank.features.flatten().sort().values)
        True
    """
    generator = torch.Generator().manual_seed(seed)
    features = bank.features.clone()
    for number in range(len(bank.categories)):
        rows = (bank.row_category == number).nonzero().flatten()
        features[rows] = _shuffled(features[rows].flatten(), generator).reshape(len(rows), -1)
    return replace(bank, features=features, covering_radius={})


def _shuffled(values: Tensor, generator: torch.Generator) -> Tensor:
    return values[torch.randperm(len(values), generator=generator).to(values.device)]
