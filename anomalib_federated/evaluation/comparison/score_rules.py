"""Whether all methods score a picture by the same rule: if not, figures of images compare the rules too."""

from __future__ import annotations

from collections.abc import Sequence

from anomalib_federated.evaluation.results import Result


def different_rules(results: Sequence[Result]) -> str:
    """A sentence that names the rules if methods differ in how a picture is scored; else empty.

    Results that do not tell their rule, such as those of given maps, are passed over.
    """
    rules: dict[str, list[str]] = {}
    for result in results:
        if result.image_score and result.method not in (own := rules.setdefault(result.image_score, [])):
            own.append(result.method)
    if len(rules) < 2:
        return ""
    told = "; ".join(f"{', '.join(sorted(methods))} by {rule}" for rule, methods in sorted(rules.items()))
    return (
        f"NOT THE SAME SCORE: pictures are scored {told}. Image figures, and maps where distances are clipped, compare "
        "these rules as well as the methods; give all methods one rule to compare the methods alone."
    )
