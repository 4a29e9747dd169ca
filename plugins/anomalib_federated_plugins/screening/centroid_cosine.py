"""Rows that point away from what the middle of the sites sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated.selection.rows import TensorRows
from anomalib_federated_plugins.screening.arguments import check_number
from anomalib_federated_plugins.screening.row_statistics import mean_row, row_norms

Action: TypeAlias = Literal["site", "rows"]


class CentroidCosine(Screening):
    """Audits every site's rows by their norm and by their cosine to a robust centroid.

    The centroid is the coordinate-wise median of the sites' mean rows: a minority of sites cannot move it far. A row is
    an outlier if its cosine to the centroid is below ``cosine_min`` or its norm is outside the limits. A site fails if
    more than ``outlier_fraction_max`` of its rows are outliers; of a site that fails, all rows or only the outliers are
    refused. If that is everybody, nobody is let in instead: the merge says so and ends.

    It sees flipped signs, other feature spaces and gross scaling (with limits of the norm), hence careless attacks and
    wrong settings. Features of defects point where those of good parts do, so it does not see them; and rare honest
    rows may be outliers, which is why a site is judged by their share.

    Args:
        cosine_min: Smallest cosine of a row to the centroid, in [-1, 1].
        norm_min: Smallest norm of a row.
        norm_max: Largest norm of a row; ``None`` sets no limit.
        outlier_fraction_max: Share of a site's rows that may be outliers; 0 lets none pass, 1 all.
        action: Of a site that fails, refuse the whole ``site`` or the outliers among its ``rows``.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> from dataclasses import replace
        >>> from anomalib_federated.testing import example_bank
        >>> good = [example_bank(site=site, seed=seed, offset=3.0) for seed, site in enumerate("abcd")]
        >>> bad = replace(example_bank(site="z", seed=9), features=-good[0].features)
        >>> [refusal.site for refusal in CentroidCosine().screen([*good, bad])]
        ['z']
    """

    def __init__(
        self,
        *,
        cosine_min: float = 0.0,
        norm_min: float = 0.0,
        norm_max: float | None = None,
        outlier_fraction_max: float = 0.1,
        action: Action = "site",
    ) -> None:
        self.cosine_min = check_number("cosine_min", cosine_min, least=-1.0, most=1.0)
        self.norm_min = check_number("norm_min", norm_min)
        self.norm_max = None if norm_max is None else check_number("norm_max", norm_max, least=self.norm_min)
        self.outlier_fraction_max = check_number("outlier_fraction_max", outlier_fraction_max, most=1.0)
        if action not in get_args(Action):
            msg = f"The screening's action is {action!r}; give one of {', '.join(get_args(Action))}."
            raise ValueError(msg)
        self.action = action

    def screen(self, banks: Sequence[MemoryBank]) -> list[Refusal]:
        """Refuse sites, or rows of them; see the class."""
        centroid = torch.from_numpy(np.median(torch.stack([mean_row(bank) for bank in banks]).numpy(), axis=0))
        refusals = []
        for bank in banks:
            norms = row_norms(bank)
            turned = _cosines(bank, centroid, norms) < self.cosine_min
            sized = (norms < self.norm_min) | (norms > (torch.inf if self.norm_max is None else self.norm_max))
            outliers = turned | sized
            share = int(outliers.sum()) / len(bank)
            if share > self.outlier_fraction_max:
                reason = (
                    f"{share:.1%} of its rows are outliers, more than {self.outlier_fraction_max:.1%}: "
                    f"{int(turned.sum())} have a cosine below {self.cosine_min:g} to the centroid of the sites, "
                    f"{int(sized.sum())} a norm out of range"
                )
                rows = outliers if self.action == "rows" else torch.ones_like(outliers)
                refusals.append(Refusal(site=bank.sites[0], rows=rows, reason=reason))
        return refusals


def _cosines(bank: MemoryBank, centroid: Tensor, norms: Tensor) -> Tensor:
    """Cosine of each row to the centroid, float64; 0 for what has no direction."""
    products = torch.cat([block.double() @ centroid for _, block in TensorRows(bank.features).blocks()])
    lengths = norms * centroid.norm()
    return torch.where(lengths > 0, products / lengths.clamp_min(torch.finfo(torch.float64).tiny), 0.0)
