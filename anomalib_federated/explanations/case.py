"""A picture and the detector that scored it, as explainers see them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from anomalib_federated.explanations.network_input import network_input
from anomalib_federated.explanations.normal_pictures import NormalPictures
from anomalib_federated.explanations.patch_boxes import patch_box
from anomalib_federated.interfaces.explainer import Box, Case, NormalPatch
from anomalib_federated.models import FederatedPatchcore, NormalQuantilePostProcessor
from anomalib_federated.models.nearest_rows import cell_middles, several_nearest_rows
from anomalib_federated.models.part_frame import Placement, to_picture
from anomalib_federated.models.patch_features import patch_rows

AT_A_TIME = 16
"""Changed pictures that go through the network together."""

GRIDS_AT_A_TIME = 256
"""Patch grids that are scored together."""


class ModelCase(Case):
    """A picture scored by a :class:`~anomalib_federated.models.FederatedPatchcore`.

    Args:
        model: With a bank that has the category; not changed, and scored with as it is in evaluation.
        picture: ``(H, W, 3)`` uint8 RGB.
        name: Path of the picture below its category's folder, with forward slashes.
        category: Its category.
        normal: The site's own normal pictures of the category; ``None`` if there are none to be shown.

    Raises:
        BankError: If the bank does not hold the category.
        ValueError: If the picture is too small to be scored.

    Example:
        >>> from anomalib_federated.testing.example_case import example_model
        >>> picture = np.full((40, 60, 3), 99, dtype=np.uint8)
        >>> case = ModelCase(example_model(), picture, name="test/dent/1.png", category="screw")
        >>> case.distances.shape, case.box(5)
        (torch.Size([4, 4]), Box(left=15, top=10, right=30, bottom=20))
    """

    def __init__(
        self,
        model: FederatedPatchcore,
        picture: NDArray[np.uint8],
        *,
        name: str,
        category: str,
        normal: NormalPictures | None = None,
    ) -> None:
        model.eval()
        self._model, self._normal = model, normal
        self._rows = model.category_rows(category)
        self.name, self.category, self.picture = name, category, picture
        self.bank = model.bank.for_category(category)
        self.layers = model.space.layers
        self.score_rule = model.scorer.words
        calibrated = isinstance(model.post_processor, NormalQuantilePostProcessor)
        found = model.post_processor.thresholds.get(category) if calibrated else None
        self.threshold = None if found is None else found.image
        self.pixel_threshold = None if found is None else found.pixel
        with torch.no_grad():
            self._score()

    def _score(self) -> None:
        image = network_input(self._model, self.picture)
        self._placement: Placement | None = self._model.model.place(image)
        predicted = self._model.predict_batch(image, [self.category])  # refuses what is too small
        embedding = self._model.model(image, self._placement)
        distances, owners, _ = self._model.scorer.nearest(embedding, self._rows)
        self._grid = (int(embedding.shape[2]), int(embedding.shape[3]))
        self.image = image[0].cpu()
        self.score = float(predicted.pred_score)
        # In a part's frame the map has half the size of the resized picture.
        self.anomaly_map = _resized(predicted.anomaly_map, self.image.shape[1:])[0, 0].cpu()
        self.distances = self._model.scorer.image_score.clipped(distances).reshape(self._grid).cpu()
        self._owners = owners.cpu()
        self.owners = self._rows.in_bank(owners).reshape(self._grid).cpu()
        self.features = patch_rows(embedding).cpu()

    @torch.no_grad()
    def remaining_distances(self, images: Tensor) -> Tensor:
        """What is left of the patches' distances when pixels are changed; a part's frame stays where it is."""
        left = []
        for some in torch.split(images, AT_A_TIME):
            placement = self._placement and Placement(
                *(each.expand(len(some), *each.shape[1:]) for each in self._placement)
            )
            embedding = self._model.model(some.to(self._model.device), placement)
            distances, _, _ = self._model.scorer.nearest(embedding, self._rows)
            left.append(distances.reshape(len(some), *self._grid).cpu().minimum(self.distances))
        return torch.cat(left)

    @torch.no_grad()
    def scores_of_distances(self, grids: Tensor) -> Tensor:
        """Scores that the picture had if its patches lay at these distances from the bank."""
        return torch.cat([self._scored(some).cpu() for some in torch.split(grids, GRIDS_AT_A_TIME)])

    def _scored(self, grids: Tensor) -> Tensor:
        rule = self._model.scorer.image_score
        distances = rule.clipped(grids.float().to(self._model.device))
        owners, queries = self._owners.to(self._model.device)[None], self.features[None, :0]
        if rule.rule == "reweighted":  # the one rule that looks at features: of the patch that is farthest away
            largest, worst = distances.flatten(1).max(1)
            distances, owners = largest.reshape(-1, 1, 1), owners[0, worst][:, None]
            queries = self._moved(worst, largest)[:, None]
        scores: Tensor = rule(
            distances.unsqueeze(1),
            owners,
            queries,
            self._rows.rows,
            partial(several_nearest_rows, rows=self._rows.rows),
        )
        return scores

    def _moved(self, patches: Tensor, distances: Tensor) -> Tensor:
        """Patches, as they are compared, at other distances from their nearest rows, on the line from these."""
        queries = self._rows.compared(self.features[patches.cpu()].to(self._model.device))
        rows = self._rows.rows[self._owners[patches.cpu()].to(self._model.device)]
        away = queries - rows
        moved: Tensor = rows + away * (distances / away.norm(dim=1).clamp_min(torch.finfo(torch.float32).tiny))[:, None]
        return moved

    @torch.no_grad()
    def distances_in_place(self, features: Tensor, patches: Tensor) -> Tensor:
        """Distances to the bank of other features in the places of patches of this picture."""
        features = features.float().to(self._model.device)
        where = cell_middles(self._grid, features)[patches.to(self._model.device)]
        owners, queries = self._model.scorer.nearest_at(features, self._rows, where)
        # Of the difference itself, not by products: a bank row is exactly 0 from the bank.
        distances = (queries - self._rows.rows[owners]).norm(dim=1)
        return self._model.scorer.image_score.clipped(distances).cpu()

    def gradient(self, layer: str) -> tuple[Tensor, Tensor]:
        """What a layer answers to the picture, and the gradient of the score there."""
        if layer not in self.layers:
            msg = f"The detector uses no layer '{layer}', only {', '.join(self.layers)}; choose one of these."
            raise ValueError(msg)
        extractor, position = self._model.model, self.layers.index(layer)
        with torch.no_grad():
            maps = extractor.layer_maps(self.image[None].to(self._model.device), self._placement)
        maps = [each.detach().clone() for each in maps]  # a layer may have been computed in inference mode
        with torch.enable_grad():
            maps[position].requires_grad_()
            queries = self._rows.compared(patch_rows(extractor.joined(maps)))
            owners = self._owners.to(self._model.device)
            distances = (queries - self._rows.rows[owners]).norm(dim=1).reshape(1, 1, *self._grid)
            score = self._model.scorer.image_score(
                distances, owners[None], queries[None], self._rows.rows,
                partial(several_nearest_rows, rows=self._rows.rows),
            )  # fmt: skip
            (gradient,) = torch.autograd.grad(score.sum(), maps[position])
        return maps[position].detach()[0].cpu(), gradient[0].cpu()

    def on_picture(self, grid: Tensor) -> Tensor:
        """A grid of any resolution over what the network sees, bilinearly brought to ``(h, w)``."""
        if self._placement is None:
            return _resized(grid[None, None].float(), self.image.shape[1:])[0, 0]
        return to_picture(grid[None, None].float(), self._placement.affine.cpu(), self.image.shape[1:])[0, 0]

    def box(self, patch: int) -> Box:
        """Where a patch of the grid lies in the picture's file."""
        affine = None if self._placement is None else self._placement.affine[0].cpu()
        return patch_box(patch, self._grid, self.picture.shape[:2], affine=affine)

    def nearest_normal(self, features: Tensor, count: int) -> Iterator[list[NormalPatch]]:
        """For each of the features, the ``count`` nearest patches of the site's own normal pictures."""
        return iter(()) if self._normal is None else iter(self._normal.nearest(features, count))


def _resized(maps: Tensor, size: tuple[int, int] | torch.Size) -> Tensor:
    """Maps ``(batch, 1, rows, columns)`` at another size, pixel centres aligned."""
    if maps.shape[2:] == torch.Size(size):
        return maps
    return interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)
