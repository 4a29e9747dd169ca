"""The anomaly map over the picture."""

from __future__ import annotations

import numpy as np

from anomalib_federated.deploy.regions import find_regions
from anomalib_federated.interfaces.explainer import Box, Case, Explainer, Explanation
from anomalib_federated_plugins.explainer.arguments import check_count


class Overlay(Explainer):
    """Shows the anomaly map, and outlines what lies above the pixel threshold.

    It is what the detector itself says of each pixel, in the colours of the inspection station. It does not say why a
    place is unusual, and it does not share out the score: many places may be far above what one score tells.

    Args:
        regions: How many of the outlined regions are told of, the largest first, at least 1.

    Raises:
        ValueError: If the argument is impossible.

    Example:
        >>> from anomalib_federated.testing.example_case import example_cases
        >>> found = Overlay().explain(example_cases()[0], seed=0)
        >>> found.facts["pixel_threshold"], found.baseline
        (0.8, None)
    """

    def __init__(self, *, regions: int = 5) -> None:
        self.regions = check_count("regions", regions)

    def explain(self, case: Case, *, seed: int) -> Explanation:
        """The map; nothing is drawn by chance."""
        del seed
        peak = int(case.anomaly_map.argmax())
        facts = {
            "largest_of_map": float(case.anomaly_map.max()),
            "largest_at": list(_pixel(case, peak)),
            "pixel_threshold": case.pixel_threshold,
        }
        if case.pixel_threshold is not None:
            mask = case.anomaly_map.numpy() > case.pixel_threshold
            facts |= {"share_above": float(mask.mean()), "regions": self._regions(case, mask)}
        return Explanation(
            relevance=case.anomaly_map.clone(),
            explained=case.score,
            explained_as=f"score of the picture ({case.score_rule})",
            settings={"regions": self.regions},
            facts=facts,
            threshold=case.pixel_threshold,
        )

    def _regions(self, case: Case, mask: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> list[dict[str, object]]:
        height, width = case.picture.shape[:2]
        found = find_regions(mask, (height, width))[: self.regions]
        boxes = [(left, top, left + wide, top + high) for left, top, wide, high in (each.box for each in found)]
        return [{"box": list(Box(*box)), "area": each.area} for box, each in zip(boxes, found, strict=True)]


def _pixel(case: Case, position: int) -> tuple[int, int]:
    """Column and row, in the picture's file, of a pixel of the map."""
    row, column = divmod(position, case.anomaly_map.shape[1])
    height, width = case.picture.shape[:2]
    rows, columns = case.anomaly_map.shape
    return int((column + 0.5) * width / columns), int((row + 0.5) * height / rows)
