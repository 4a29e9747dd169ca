"""Audits of privacy plugins: attacks that fail if the promise is kept, and would not if it were not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor

from anomalib_federated.audit.bank_target import BankTarget, Selecting
from anomalib_federated.audit.bounds import epsilon_bound, mu_bound
from anomalib_federated.audit.distinguisher import Scores, best_alarms
from anomalib_federated.audit.drawn_ahead import DrawnAhead
from anomalib_federated.audit.membership import membership_auc
from anomalib_federated.audit.one_run import one_run_bound
from anomalib_federated.audit.one_run_guesses import guess_in_one_run
from anomalib_federated.audit.result import DELTA, AuditResult, Method
from anomalib_federated.audit.sum_target import SumTarget
from anomalib_federated.audit.target import Target
from anomalib_federated.bank import FeatureSpace
from anomalib_federated.interfaces.privacy import BankPrivacy, Privacy, SumPrivacy
from anomalib_federated.privacy.noise import Noise

LEAST_RUNS = 8
_CHOOSING = 0.999
"""Confidence of the bound by which the attacker's rule is chosen."""


def target_of(
    privacy: Privacy,
    pictures: Tensor,
    *,
    space: FeatureSpace,
    selecting: Selecting | None = None,
    seed: int = 0,
    noise: Noise | None = None,
) -> Target[Any, Any]:
    """What can be audited of a plugin.

    Args:
        privacy: The plugin.
        pictures: Ordinary ones, shape ``(n, rows, columns, d)``, float32.
        space: Their feature space.
        selecting: How a site chooses the rows of its bank, for plugins that protect banks.
        seed: Decides canaries and noise.
        noise: Given to the plugin; ``None`` draws it by the seed.

    Raises:
        ValueError: If the plugin is of neither kind, or protects banks and nothing says how their rows are chosen.
    """
    noise = noise or DrawnAhead(seed=seed)
    if isinstance(privacy, SumPrivacy):
        return SumTarget(privacy, space=space, ordinary=pictures, noise=noise, seed=seed)
    if isinstance(privacy, BankPrivacy) and selecting is not None:
        return BankTarget(privacy, space=space, ordinary=pictures, selecting=selecting, noise=noise)
    msg = (
        f"The privacy plugin '{privacy.name}' cannot be audited so: it must subclass SumPrivacy, or BankPrivacy with a "
        "coreset that says how rows are chosen."
    )
    raise ValueError(msg)


def audit(
    target: Target[Any, Any],
    pictures: Tensor,
    *,
    setting: str,
    method: Method = "canary",
    runs: int = 1000,
    membership_runs: int = 20,
    confidence: float = 0.95,
    seed: int = 0,
    tell: Callable[[int], None] = lambda _: None,
) -> AuditResult:
    """Attack, and say how much is given away at least.

    Args:
        target: What is audited.
        pictures: Ordinary ones, shape ``(n, rows, columns, d)``.
        setting: On what is audited, in words, for the record.
        method: See :class:`AuditResult`.
        runs: Runs with the canary, and as many without; or canaries of the one run.
        membership_runs: Runs behind the membership figure; 0 leaves it out.
        confidence: Chance that all bounds found are ones.
        seed: Decides which pictures are drawn.
        tell: Called with the number of runs just finished, :func:`all_runs` in all.

    Raises:
        ValueError: If there are too few runs or pictures, or the confidence is impossible.

    Example:
        >>> from anomalib_federated import registry
        >>> from anomalib_federated.audit import Selecting, audit, generated_pictures, generated_space, target_of
        >>> pictures = generated_pictures(4, dim=8, seed=0)
        >>> selecting = Selecting(coreset=registry.build("coreset", "random", budget=16), name="random")
        >>> privacy = registry.build("privacy", "none")
        >>> target = target_of(privacy, pictures, space=generated_space(8), selecting=selecting)
        >>> audit(target, pictures, setting="generated pictures", runs=200).epsilon_found > 3
        True
    """
    if runs < LEAST_RUNS:
        msg = f"An audit of {runs} runs shows nothing; give at least {LEAST_RUNS}, best some thousands."
        raise ValueError(msg)
    report = target.report
    delta = DELTA if report.delta is None else report.delta
    mu_found: float | None = None
    if method == "canary":
        present, absent = canary_scores(target, pictures, runs=runs, tell=tell)
        each = 1 - (1 - confidence) / 2  # two bounds, which are to hold together
        alarms = best_alarms(present, absent, bound=partial(epsilon_bound, delta=delta, confidence=_CHOOSING))
        found = epsilon_bound(alarms, delta=delta, confidence=each)
        alarms = best_alarms(present, absent, bound=partial(mu_bound, confidence=_CHOOSING))
        mu_found = max(0.0, mu_bound(alarms, confidence=each))
    else:
        guesses = guess_in_one_run(target, pictures, canaries=runs, seed=seed)
        found = one_run_bound(**vars(guesses), delta=delta, confidence=confidence)
        tell(1)
    area = None
    if membership_runs:
        area = membership_auc(target, pictures, runs=membership_runs, seed=seed, tell=tell)
    return AuditResult(
        plugin=report.plugin,
        unit=report.unit,
        adjacency=report.adjacency,
        epsilon=report.epsilon,
        delta=delta,
        mu=report.mu if report.noise_multipliers else None,
        setting=setting,
        method=method,
        runs=runs,
        confidence=confidence,
        epsilon_found=max(0.0, found),
        mu_found=mu_found,
        membership_auc=area,
    )


def all_runs(*, method: Method, runs: int, membership_runs: int) -> int:
    """How many runs an audit tells of."""
    return (2 * runs if method == "canary" else 1) + membership_runs


def canary_scores(
    target: Target[Any, Any], pictures: Tensor, *, runs: int, tell: Callable[[int], None] = lambda _: None
) -> tuple[Scores, Scores]:
    """Run the mechanism again and again on two data sets that differ in a canary.

    Args:
        target: What is audited.
        pictures: Ordinary ones, shape ``(n, rows, columns, d)``.
        runs: With each data set.
        tell: Called with 1 after each run.

    Returns:
        Scores with the canary and without, shape ``(runs, k)`` each, see :meth:`Target.reader`.
    """
    worlds = target.worlds(pictures)
    read = target.reader(worlds)

    def scores(ready: object) -> Scores:
        found = []
        for _ in range(runs):
            found.append(read(target.release(ready)))
            tell(1)
        return np.stack(found)

    return scores(target.ready(worlds.present)), scores(target.ready(worlds.absent))
