"""The normal patches that the detector compared the worst patches with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from anomalib_federated.interfaces.explainer import Box, Case, Explainer, Explanation, NormalPatch, Panel
from anomalib_federated_plugins.explainer.arguments import check_count
from anomalib_federated_plugins.explainer.worst_patches import relevance_of, worst_patches

AROUND = 2.5
"""How many times larger than its patch a panel is on each side, so that one sees what the patch is part of."""


class NearestNormal(Explainer):
    """Says which bank row each of the worst patches was compared with, and of which site and category it is.

    Where the site's own normal pictures are given, it also shows the patch of them that is nearest to that bank row: at
    a distance of about 0 the very patch that the row is of, else the site's own patch that is most like a row which
    came from another site, or was learnt. Such an explanation shows the site's pictures, says so, and never leaves it.

    Args:
        patches: How many of the picture's patches are told of, the farthest from the bank first, at least 1.
        pictures: How many own normal patches are shown for each, at least 1.

    Raises:
        ValueError: If an argument is impossible.

    Example:
        >>> from anomalib_federated.testing.example_case import example_cases
        >>> found = NearestNormal(patches=1).explain(example_cases()[0], seed=0)
        >>> found.facts["patches"][0]["site"], found.private
        ('plant-a', False)
    """

    def __init__(self, *, patches: int = 3, pictures: int = 1) -> None:
        self.patches = check_count("patches", patches)
        self.pictures = check_count("pictures", pictures)

    def explain(self, case: Case, *, seed: int) -> Explanation:
        """The nearest rows; nothing is drawn by chance."""
        del seed
        patches = worst_patches(case, self.patches)
        rows = case.owners.flatten()[patches]
        distances = case.distances.flatten()[patches]
        own = list(case.nearest_normal(case.bank.features[rows].float(), self.pictures))
        told, panels = [], []
        for number, (patch, row) in enumerate(zip(patches.tolist(), rows.tolist(), strict=True)):
            facts = self._facts(case, patch, row)
            if own:
                facts["own_normal"] = [_told(each) for each in own[number]]
                panels.append(_panel(case.picture, case.box(patch), f"patch {patch}, {facts['distance']:.3g} away"))
                panels += [_panel(each.picture, each.box, _caption(each)) for each in own[number]]
            told.append(facts)
        return Explanation(
            relevance=relevance_of(case, patches, distances),
            explained=case.score,
            explained_as=f"score of the picture ({case.score_rule})",
            settings={"patches": self.patches, "pictures": self.pictures},
            facts={"patches": told},
            panels=tuple(panels),
            private=bool(own),
        )

    def _facts(self, case: Case, patch: int, row: int) -> dict[str, Any]:
        bank = case.bank
        facts: dict[str, Any] = {
            "patch": patch,
            "box": list(case.box(patch)),
            "distance": float(case.distances.flatten()[patch]),
            "bank_row": row,
            "site": bank.sites[int(bank.row_site[row])],
            "category": bank.categories[int(bank.row_category[row])],
            "stands_for_patches": float(bank.weights[row]),
        }
        if bank.row_group is not None:
            facts["group"] = bank.groups[int(bank.row_group[row])]
        return facts


def _told(patch: NormalPatch) -> dict[str, Any]:
    return {"picture": patch.name, "box": list(patch.box), "distance_to_bank_row": patch.distance}


def _caption(patch: NormalPatch) -> str:
    return f"{patch.name.rpartition('/')[2]}, {patch.distance:.3g} from the bank row"


def _panel(picture: NDArray[np.uint8], box: Box, caption: str) -> Panel:
    """A piece of a picture around a box, which is outlined."""
    height, width = picture.shape[:2]
    side = AROUND * max(box.right - box.left, box.bottom - box.top)
    side = int(min(max(side, min(height, width) / 4), height, width))
    left = min(max((box.left + box.right - side) // 2, 0), width - side)
    top = min(max((box.top + box.bottom - side) // 2, 0), height - side)
    scale = max(1, round(240 / side))
    piece = Image.fromarray(picture[top : top + side, left : left + side]).resize((side * scale, side * scale))
    draw = ImageDraw.Draw(piece)
    edges = [(box.left - left) * scale, (box.top - top) * scale, (box.right - left) * scale, (box.bottom - top) * scale]
    for grown, colour in ((2, (20, 20, 20)), (1, (255, 255, 255))):
        draw.rectangle((edges[0] - grown, edges[1] - grown, edges[2] + grown - 1, edges[3] + grown - 1), outline=colour)
    return Panel(picture=np.array(piece), caption=caption)
