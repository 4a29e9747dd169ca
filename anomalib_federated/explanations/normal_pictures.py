"""A site's own normal pictures, to show which normal patches others are nearest to. Nothing of them leaves the site."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.explanations.network_input import network_input
from anomalib_federated.explanations.patch_boxes import patch_box
from anomalib_federated.interfaces.explainer import NormalPatch
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.patch_features import patch_rows
from anomalib_federated.pictures import read_image
from anomalib_federated.progress import progress_bar
from anomalib_federated.selection.distances import squared_distances


class NormalPictures:
    """Normal pictures of one category, whose patches are searched.

    Features are computed when they are first asked for, and kept in a temporary folder in float16.

    Args:
        model: With a bank that has the category.
        category: Of the pictures.
        pictures: File of each picture, by its path below the category's folder.

    Raises:
        BankError: If the bank does not hold the category.
    """

    def __init__(self, model: FederatedPatchcore, category: str, pictures: Mapping[str, Path]) -> None:
        self._model, self._rows, self._pictures = model, model.category_rows(category), dict(pictures)
        self._kept: tempfile.TemporaryDirectory[str] | None = None
        self._frames: list[tuple[tuple[int, int], tuple[int, int], Tensor | None]] = []

    @property
    def digest(self) -> str:
        """sha256 of the pictures' names, hexadecimal."""
        return hashlib.sha256("\n".join(self._pictures).encode()).hexdigest()

    @torch.no_grad()
    def nearest(self, features: Tensor, count: int) -> list[list[NormalPatch]]:
        """The nearest patches of all pictures.

        Args:
            features: Shape ``(n, d)``, float32.
            count: How many, at least 1.

        Returns:
            For each of the features up to ``count`` patches, the nearest first. Distances are those of the detector
            (after the projection, if the rows have one), wherever in a picture the patch lies.

        Raises:
            ValueError: If a picture cannot be read, or ``count`` is below 1.
        """
        if count < 1:
            msg = f"The number of normal patches is {count}; give at least 1."
            raise ValueError(msg)
        folder = self._features()
        queries = self._rows.compared(features.float().to(self._model.device)).cpu()
        found: list[list[tuple[float, int, int]]] = [[] for _ in queries]
        for picture in range(len(self._pictures)):
            patches = torch.from_numpy(np.load(folder / f"{picture}.npy")).float()
            distances, numbers = squared_distances(queries, patches).topk(min(count, len(patches)), 1, largest=False)
            for kept, near, which in zip(found, distances.sqrt().tolist(), numbers.tolist(), strict=True):
                kept += [(distance, picture, number) for distance, number in zip(near, which, strict=True)]
                kept.sort()
                del kept[count:]
        return [[self._patch(*each) for each in kept] for kept in found]

    def _patch(self, distance: float, picture: int, patch: int) -> NormalPatch:
        name, path = list(self._pictures.items())[picture]
        grid, size, affine = self._frames[picture]
        box = patch_box(patch, grid, size, affine=affine)
        return NormalPatch(name=name, box=box, distance=distance, picture=read_image(path))

    def _features(self) -> Path:
        """Folder with the patches of each picture, as they are compared, in the pictures' order."""
        if self._kept is None:
            self._frames = []
            kept = tempfile.TemporaryDirectory(prefix="normal-patches-")
            with progress_bar("own normal pictures", total=len(self._pictures)) as advance:
                for number, path in enumerate(self._pictures.values()):
                    np.save(Path(kept.name) / f"{number}.npy", self._compared(path))
                    advance(1)
            self._kept = kept
        return Path(self._kept.name)

    def _compared(self, path: Path) -> np.ndarray[tuple[int, int], np.dtype[np.float16]]:
        picture = read_image(path)
        image = network_input(self._model, picture)
        placement = self._model.model.place(image)
        embedding = self._model.model(image, placement)
        affine = None if placement is None else placement.affine[0].cpu()
        self._frames.append(((int(embedding.shape[2]), int(embedding.shape[3])), picture.shape[:2], affine))
        compared: np.ndarray[tuple[int, int], np.dtype[np.float16]] = (
            self._rows.compared(patch_rows(embedding)).cpu().half().numpy()
        )
        return compared
