"""The bank of what noisy sums say of each category."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from anomalib_federated.bank.contribution import Contribution
from anomalib_federated.bank.feature_space import FeatureSpace
from anomalib_federated.bank.memory_bank import MemoryBank
from anomalib_federated.privacy import PrivacyReport
from anomalib_federated.privacy.learnt import Learnt


def bank_of_learnt(
    learnt: Mapping[str, Learnt],
    *,
    space: FeatureSpace,
    method: str,
    site: str,
    privacy: Mapping[str, PrivacyReport],
) -> MemoryBank:
    """Make a bank of rows that were learnt from sums of the pictures of several sites.

    Args:
        learnt: Per category what was learnt, at least of one.
        space: Feature space in which it was.
        method: Name of what learnt it, for the record.
        site: A made-up name for all plants together, since nobody knows whose pictures are behind which row.
        privacy: Per site, so of ``site`` alone, what was promised about the pictures.

    Returns:
        A bank of ``site``, float32, its categories in alphabetical order. As many pictures as the noise tells, at least
        1, and at least as many patches as rows; all rows of a category weigh the same, and no distance is told.

    Raises:
        BankError: If there is no category, or something does not fit the feature space.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> found = Learnt(rows=torch.zeros(3, 8), pictures=20.4)
        >>> bank = bank_of_learnt(
        ...     {"screw": found}, space=example_bank().space, method="sums", site="all plants", privacy={}
        ... )
        >>> len(bank), bank.contributions[0].images, bank.contributions[0].covering_radius
        (3, 20, None)
    """
    return MemoryBank.merge(
        _of_category(name, learnt[name], space=space, method=method, site=site, privacy=privacy)
        for name in sorted(learnt)
    )


def _of_category(
    category: str,
    learnt: Learnt,
    *,
    space: FeatureSpace,
    method: str,
    site: str,
    privacy: Mapping[str, PrivacyReport],
) -> MemoryBank:
    rows = len(learnt.rows)
    images = max(1, round(learnt.pictures))
    patches = max(rows, images)
    return MemoryBank(
        features=learnt.rows,
        row_category=torch.zeros(rows, dtype=torch.int32),
        row_site=torch.zeros(rows, dtype=torch.int32),
        weights=torch.full((rows,), patches / rows),
        categories=(category,),
        sites=(site,),
        space=space,
        contributions=(
            Contribution(
                site=site,
                category=category,
                images=images,
                patches=patches,
                rows=rows,
                coreset=method,
                covering_radius=None,
                mean_distance=None,
                passes=1,
                seconds=0.0,
            ),
        ),
        coresets={category: method},
        covering_radius={},
        privacy=dict(privacy),
        row_place=learnt.places,
        projections={} if learnt.projection is None else {category: learnt.projection},
    )
