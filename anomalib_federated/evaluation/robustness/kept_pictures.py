"""Pictures whose patch features were made once and are kept: what makes scoring one bank after another fast."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from anomalib_federated.bank import MemoryBank
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.data.layout import GOOD, name_of
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage, at_native_size
from anomalib_federated.federation import Site
from anomalib_federated.metrics import Defect
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.models.category_rows import CategoryRows
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.patch_scorer import PatchScorer
from anomalib_federated.progress import progress_bar
from anomalib_federated.selection.distances import nearest


class _Picture(NamedTuple):
    """What scoring needs beside a picture's features."""

    path: Path
    category: str
    defect_type: str
    defects: tuple[Defect, ...] | None
    native_size: tuple[int, int]
    map_size: tuple[int, int]
    affine: Tensor | None


class KeptPictures:
    """Pictures of one category, each through the network once; their masks stay in memory.

    A bank is scored by the same code as in the detector. Features were rounded to the type of the store, so scores
    agree with the detector's to about three digits.

    Args:
        name: What the pictures are, for messages.
        data: The pictures, of one category, at least one.
        model: The detector; its bank is not used.
        store: Folder in which the features are kept.
    """

    def __init__(self, name: str, data: InspectionDataset, *, model: FederatedPatchcore, store: Path) -> None:
        self.data = data
        self._model = model.eval()
        self._site = Site(
            name, data, extractor=model.model, store=store, memory=model.memory, store_dtype=model.store_dtype
        )
        (category,) = self._site.patches().categories
        self._rows = self._site.patches().rows(category)
        numbers = {Path(picture.name): number for number, picture in enumerate(self._rows.pictures)}
        self._numbers = [numbers[Path(path).absolute()] for path in data.samples["image_path"]]
        self._pictures = [self._look_at(position) for position in range(len(data))]

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def names(self) -> list[str]:
        """Of the pictures, as :func:`~anomalib_federated.evaluation.measuring.scored_image.name_of` gives them."""
        return [name_of(picture.path) for picture in self._pictures]

    def grid(self, position: int) -> Tensor:
        """Features of a picture of the data, shape ``(rows, columns, d)``, float32."""
        return self._rows.grid(self._numbers[position])

    @torch.inference_mode()
    def scored(
        self, bank: MemoryBank, *, site_quorum: int = 1, positions: Sequence[int] | None = None
    ) -> Iterator[ScoredImage]:
        """Score the pictures against a bank.

        Args:
            bank: Of their category alone, in the model's feature space.
            site_quorum: Of the detector.
            positions: Which pictures; ``None`` takes all.

        Yields:
            The pictures, in this order.
        """
        rows = CategoryRows.of(bank, site_quorum=site_quorum)
        scorer = PatchScorer(self._model.scorer.image_score, site_quorum=site_quorum)
        wanted = range(len(self)) if positions is None else positions
        with progress_bar(f"scoring {self._site.name}", total=len(wanted)) as advance:
            for position in wanted:
                picture, embedding = self._pictures[position], self.grid(position).permute(2, 0, 1)[None]
                score, spread = scorer(embedding, rows, torch.Size(picture.map_size), picture.affine)
                yield ScoredImage(
                    name=name_of(picture.path),
                    category=picture.category,
                    defect_type=picture.defect_type,
                    score=float(score),
                    anomaly_map=at_native_size(spread[0, 0], picture.native_size),
                    defects=picture.defects,
                    image_path=picture.path,
                )
                advance(1)

    @torch.inference_mode()
    def distances(self, bank: MemoryBank) -> Tensor:
        """Distances of a quarter of all patches to the nearest row of a bank: in every other row and column.

        Returns:
            Shape ``(n,)``, float32.
        """
        features, grids = bank.features.float(), map(self.grid, range(len(self)))
        return torch.cat([nearest(grid[::2, ::2].flatten(0, 1), features)[0] for grid in grids])

    def close(self) -> None:
        """Let go of the folder."""
        self._site.close()

    def _look_at(self, position: int) -> _Picture:
        item, extractor = self.data[position], self._model.model
        image = image_transform(extractor.space)(item.image.unsqueeze(0))
        placement = extractor.place(image)
        return _Picture(
            path=Path(item.image_path),
            category=item.category,
            defect_type=item.defect_type,
            defects=() if item.defect_type == GOOD else item.defects,
            native_size=item.native_size,
            map_size=extractor.map_size(image),
            affine=placement and placement.affine,
        )
