"""What sites agree on, out of the settings of a detector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anomalib_federated import registry
from anomalib_federated.messages.agreement import Agreement
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.selection.budget import BudgetLike


def make_agreement(
    model: FederatedPatchcore,
    *,
    coreset: str | Mapping[str, Any] | None = None,
    budget: BudgetLike | None = None,
    dtype: str = "float16",
    seed: int = 0,
    privacy: str | Mapping[str, Any] = "none",
    fairness: str | Mapping[str, Any] = "none",
) -> Agreement:
    """The agreement of a federation that trains a detector.

    Args:
        model: The detector.
        coreset: The coreset plugin of the sites; ``None`` takes the detector's.
        budget: Rows per category that a site sends; ``None`` takes the detector's budget.
        dtype: Type of the features sent, one of :data:`anomalib_federated.messages.agreement.DTYPES`.
        seed: Decides every random choice at the sites.
        privacy: The privacy plugin of the sites.
        fairness: The fairness plugin by which sites choose among their groups; ``none`` leaves it to the coreset.

    Raises:
        PluginError: If the coreset, privacy or fairness plugin cannot be had.
        ValueError: If a setting is impossible.
    """
    if coreset is None:
        name, init_args = model.coreset_name, model.coreset_args
    else:
        name, init_args = registry.name_of(coreset, kind="coreset"), registry.arguments_of(coreset)
    registry.build("fairness", fairness)  # mistakes come to light before anybody is asked
    return Agreement(
        space=model.space,
        coreset=name,
        coreset_args=init_args,
        budget=model.coreset.budget if budget is None else budget,
        dtype=dtype,
        seed=seed,
        privacy=registry.name_of(privacy, kind="privacy"),
        privacy_args=registry.arguments_of(privacy),
        fairness=registry.name_of(fairness, kind="fairness"),
        fairness_args=registry.arguments_of(fairness),
    )
