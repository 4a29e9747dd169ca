"""What every explainer promises, see :mod:`anomalib_federated.interfaces.explainer`."""

from __future__ import annotations

import json
import math
from functools import lru_cache

import numpy as np
import torch

from anomalib_federated.explanations.explanation_file import ERRORS, ROUNDING
from anomalib_federated.interfaces.explainer import Case, Explainer, Explanation
from anomalib_federated.testing.construction import can_be_made_without_arguments
from anomalib_federated.testing.example_case import example_cases
from anomalib_federated.testing.randomness import under_two_random_states

Plugin = type[Explainer]

TENSORS = ("image", "anomaly_map", "distances", "owners", "features")


def the_case_stays_unchanged(plugin: Plugin) -> None:
    """The input is not written to."""
    for case in example_cases():
        before = _as_bytes(case)
        plugin().explain(case, seed=0)
        after = _as_bytes(case)
        changed = [name for name in before if before[name] != after[name]]
        _restore(case, before)
        assert not changed, f"explain must not change the case that it is given, but {', '.join(changed)} did"


def relevance_is_one_finite_number_a_pixel(plugin: Plugin) -> None:
    """Of the picture as the network gets it."""
    for case, explanation in _explained(plugin):
        wanted, found = tuple(case.image.shape[1:]), explanation.relevance
        assert tuple(found.shape) == wanted, f"relevance must have shape {wanted}, got {tuple(found.shape)}"
        assert found.dtype == torch.float32, f"relevance must be float32, got {found.dtype}"
        assert bool(found.isfinite().all()), "relevance must be finite everywhere"


def numbers_are_finite_and_named(plugin: Plugin) -> None:
    """What is explained is said in words."""
    for _, explanation in _explained(plugin):
        numbers = (explanation.explained, explanation.baseline, explanation.threshold)
        for number in numbers:
            assert number is None or math.isfinite(number), f"numbers must be finite, got {number}"
        assert explanation.explained_as.strip(), "explained_as must say what the number is"


def contributions_and_baseline_add_up(plugin: Plugin) -> None:
    """To the number explained, up to rounding and the standard errors that are told."""
    for case, explanation in _explained(plugin):
        if explanation.baseline is None:
            continue
        total = math.fsum([explanation.baseline, *(each.value for each in explanation.contributions)])
        errors = math.fsum(each.standard_error or 0.0 for each in explanation.contributions)
        allowed = ROUNDING * max(1.0, abs(explanation.explained)) + ERRORS * errors
        assert abs(total - explanation.explained) <= allowed, (
            f"baseline and contributions must add up to explained, {explanation.explained:.6g}, got {total:.6g} "
            f"for a picture scored by {case.score_rule}"
        )


def contributions_are_sorted_and_of_different_patches(plugin: Plugin) -> None:
    """The largest first, each of a patch of the grid."""
    for case, explanation in _explained(plugin):
        values = [each.value for each in explanation.contributions]
        patches = [each.patch for each in explanation.contributions]
        assert values == sorted(values, reverse=True), "contributions must come largest first"
        assert len(set(patches)) == len(patches), "a patch must contribute once"
        count = case.distances.numel()
        assert all(0 <= patch < count for patch in patches), f"patches must be numbered 0 to {count - 1}"


def boxes_lie_in_the_picture(plugin: Plugin) -> None:
    """Each where its patch is."""
    for case, explanation in _explained(plugin):
        height, width = case.picture.shape[:2]
        for each in explanation.contributions:
            left, top, right, bottom = each.box
            assert 0 <= left < right <= width, f"a box must lie in 0 .. {width} across and not be empty, got {each.box}"
            assert 0 <= top < bottom <= height, f"a box must lie in 0 .. {height} down and not be empty, got {each.box}"
            assert each.box == case.box(each.patch), f"the box of patch {each.patch} must be {case.box(each.patch)}"


def settings_and_facts_are_plain_data(plugin: Plugin) -> None:
    """What JSON holds."""
    for _, explanation in _explained(plugin):
        for name in ("settings", "facts"):
            value = dict(getattr(explanation, name))
            try:
                same = json.loads(json.dumps(value, allow_nan=False)) == value
            except (TypeError, ValueError) as error:
                msg = f"{name} must be plain data, as JSON has it: {error}"
                raise AssertionError(msg) from error
            assert same, f"{name} must be plain data: JSON makes something else of {value!r}"


def panels_are_pictures_with_captions(plugin: Plugin) -> None:
    """``(h, w, 3)`` uint8."""
    for _, explanation in _explained(plugin):
        for panel in explanation.panels:
            shape, dtype = panel.picture.shape, panel.picture.dtype
            good = len(shape) == 3 and shape[2] == 3 and dtype == np.uint8 and panel.picture.size > 0
            assert good, f"a panel must be (h, w, 3) uint8 and not empty, got {dtype} {shape}"
            assert panel.caption.strip(), "a panel must have a caption"


def what_shows_own_pictures_is_private(plugin: Plugin) -> None:
    """An explanation with names of own normal pictures must not leave the site, and says so."""
    case = example_cases()[-1]
    own = [patch.name for found in case.nearest_normal(case.features[:1], 1) for patch in found]
    folder = own[0].rpartition("/")[0]
    explanation = plugin().explain(case, seed=0)
    shows = folder in json.dumps(
        [dict(explanation.facts), [panel.caption for panel in explanation.panels]], default=str
    )
    assert explanation.private or not shows, "an explanation that names own normal pictures must be private"


def equal_seeds_give_equal_explanations(plugin: Plugin) -> None:
    """Of one object called twice, and of two objects."""
    explainer, case = plugin(), example_cases()[0]
    for seed in (0, 1):
        first = _plain(explainer.explain(case, seed=seed))
        assert _plain(explainer.explain(case, seed=seed)) == first, (
            "a second call with the same seed must give the same"
        )
        other = _plain(plugin().explain(case, seed=seed))
        assert other == first, "a second object with the same seed must give the same"


def the_global_random_state_plays_no_part(plugin: Plugin) -> None:
    """Chance comes from ``seed`` alone, and nobody else's chance is disturbed."""
    first, second = under_two_random_states(lambda: _plain(plugin().explain(example_cases()[0], seed=3)))
    assert first == second, "another global random state must give the same explanation"


CHECKS = (
    can_be_made_without_arguments,
    the_case_stays_unchanged,  # first, since a plugin that changes its input fails others for no clear reason
    relevance_is_one_finite_number_a_pixel,
    numbers_are_finite_and_named,
    contributions_are_sorted_and_of_different_patches,
    boxes_lie_in_the_picture,
    contributions_and_baseline_add_up,
    settings_and_facts_are_plain_data,
    panels_are_pictures_with_captions,
    what_shows_own_pictures_is_private,
    equal_seeds_give_equal_explanations,
    the_global_random_state_plays_no_part,
)


@lru_cache(maxsize=1)
def _explained(plugin: Plugin) -> list[tuple[Case, Explanation]]:
    """Explanations of all example cases, made once for all checks that only look at them."""
    return [(case, plugin().explain(case, seed=0)) for case in example_cases()]


def _as_bytes(case: Case) -> dict[str, bytes]:
    tensors = {name: getattr(case, name).numpy().tobytes() for name in TENSORS}
    return tensors | {"picture": case.picture.tobytes(), "bank": case.bank.features.numpy().tobytes()}


def _restore(case: Case, before: dict[str, bytes]) -> None:
    """Put back what was there: the cases are shared."""
    for name in TENSORS:
        tensor = getattr(case, name)
        array = np.frombuffer(before[name], dtype=tensor.numpy().dtype).reshape(tensor.shape)
        tensor.copy_(torch.from_numpy(array.copy()))
    case.picture[...] = np.frombuffer(before["picture"], dtype=np.uint8).reshape(case.picture.shape)
    features = case.bank.features
    features.copy_(
        torch.from_numpy(np.frombuffer(before["bank"], features.numpy().dtype).reshape(features.shape).copy())
    )


def _plain(explanation: Explanation) -> tuple[object, ...]:
    return (
        explanation.relevance.numpy().tobytes(),
        explanation.explained,
        explanation.baseline,
        explanation.contributions,
        json.dumps([dict(explanation.settings), dict(explanation.facts)]),
        [(panel.picture.tobytes(), panel.caption) for panel in explanation.panels],
    )
