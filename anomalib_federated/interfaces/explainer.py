"""Explainers: why a picture got its score.

An explainer is given a :class:`Case`, a picture together with the detector that scored it, and answers with an
:class:`Explanation`: how much each pixel had to do with the score and, where the method can tell, how much of the score
each patch has made. How cases are made, explanations drawn, written and measured is in
:mod:`anomalib_federated.explanations`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalib_federated.bank import MemoryBank


class Box(NamedTuple):
    """Pixels of a picture's file: ``left <= x < right``, ``top <= y < bottom``."""

    left: int
    top: int
    right: int
    bottom: int


class NormalPatch(NamedTuple):
    """A patch of one of the site's own normal pictures.

    Attributes:
        name: Path of the picture below its category's folder, with forward slashes.
        box: Where it lies in the picture.
        distance: Of its features to those asked about.
        picture: ``(h, w, 3)`` uint8 RGB, the whole picture.
    """

    name: str
    box: Box
    distance: float
    picture: NDArray[np.uint8]


class Case(ABC):
    """A picture to be explained, with the detector that scored it.

    Patches are numbered row by row of the patch grid. Scores are raw: distances in feature space. All tensors are on
    the CPU, those that are given and those that come back.

    Attributes:
        name: Path of the picture below its category's folder, with forward slashes: ``test/scratch/0001.png``.
        category: Its category.
        picture: ``(H, W, 3)`` uint8 RGB, as it lies in its file.
        image: Shape ``(3, h, w)``, float32: the picture as the network gets it, resized and normalised.
        score: Of the picture.
        score_rule: How patch distances become the score, in words.
        threshold: Pictures that score above it are called anomalous; ``None`` if it was never set.
        pixel_threshold: Likewise of pixels of the map.
        anomaly_map: Shape ``(h, w)``, float32: raw scores of the pixels of ``image``.
        distances: Shape ``(rows, columns)``, float32: distance of each patch to its nearest bank row, clipped as it is
            scored.
        owners: Shape ``(rows, columns)``, int64: which row of ``bank`` that is.
        features: Shape ``(rows * columns, d)``, float32: patch features.
        bank: The rows of the category: patches of normal pictures, and which site each is of.
        layers: Names of the network's layers whose features are used.
    """

    name: str
    category: str
    picture: NDArray[np.uint8]
    image: Tensor
    score: float
    score_rule: str
    threshold: float | None
    pixel_threshold: float | None
    anomaly_map: Tensor
    distances: Tensor
    owners: Tensor
    features: Tensor
    bank: MemoryBank
    layers: tuple[str, ...]

    @abstractmethod
    def remaining_distances(self, images: Tensor) -> Tensor:
        """What is left of the patches' distances when pixels are changed.

        A patch has its distance in the changed picture, and no more than in this one: what a change adds, such as the
        edge where it begins, is no anomaly of this picture. Where features are made in the part's frame, the frame
        stays where it is in this picture: a change is to tell about its pixels, not about where the part would be
        looked for without them.

        Args:
            images: Changed pictures, shape ``(batch, 3, h, w)``, resized and normalised like ``image``.

        Returns:
            Shape ``(batch, rows, columns)``, float32.
        """

    def remaining_scores(self, images: Tensor) -> Tensor:
        """What is left of the score, shape ``(batch,)``: see :meth:`remaining_distances`.

        No change raises it, unless its rule weighs by features (``reweighted``).
        """
        return self.scores_of_distances(self.remaining_distances(images))

    @abstractmethod
    def scores_of_distances(self, grids: Tensor) -> Tensor:
        """Scores, shape ``(batch,)``, that the picture had if its patches lay at these distances from the bank.

        Where a score follows from features too (``reweighted``), patches are thought to have moved along the line from
        their nearest bank row.

        Args:
            grids: Shape ``(batch, rows, columns)``, float32.
        """

    @abstractmethod
    def distances_in_place(self, features: Tensor, patches: Tensor) -> Tensor:
        """Distances, shape ``(n,)``, to the bank of other features in the places of patches of this picture.

        Args:
            features: Shape ``(n, d)``, float32.
            patches: Shape ``(n,)``, int64: numbers of the patches.
        """

    @abstractmethod
    def gradient(self, layer: str) -> tuple[Tensor, Tensor]:
        """What a layer answers to the picture, and the gradient of the score there; both ``(channels, rows, columns)``.

        The nearest bank row of each patch is held fixed, and distances are not clipped: a clipped one has no gradient.

        Raises:
            ValueError: If the layer is none of ``layers``.
        """

    @abstractmethod
    def on_picture(self, grid: Tensor) -> Tensor:
        """A grid over what the network sees, of any number of rows and columns, bilinearly brought to ``(h, w)``."""

    @abstractmethod
    def box(self, patch: int) -> Box:
        """Where a patch of the grid lies in the picture's file; its receptive field is larger.

        A box is never empty: of a patch outside the picture, which there may be in a part's frame, it is at the border.
        """

    @abstractmethod
    def nearest_normal(self, features: Tensor, count: int) -> Iterator[list[NormalPatch]]:
        """For each of ``(n, d)`` features, the ``count`` nearest patches of the site's own normal pictures.

        Distances are measured as the detector does, wherever in the picture the patches lie. Nothing is yielded where
        the site keeps none, or they were not given.
        """


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one patch has to do with a score.

    Attributes:
        patch: Its number, row by row of the patch grid.
        box: Where it lies in the picture's file.
        value: How much of the score it makes, in units of the score.
        standard_error: Of the value, if it was sampled.
    """

    patch: int
    box: Box
    value: float
    standard_error: float | None = None


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A small picture to be shown beside the explanation.

    Attributes:
        picture: ``(h, w, 3)`` uint8 RGB.
        caption: What it shows, in a few words.
    """

    picture: NDArray[np.uint8]
    caption: str


@dataclass(frozen=True, eq=False, kw_only=True)
class Explanation:
    """Why a picture got its score.

    Attributes:
        relevance: Shape ``(h, w)`` of the case's ``image``, float32, finite: the larger, the more the pixel had to do
            with the score; below 0 if it lowered it. Only its order means the same for all methods.
        explained: The number that is explained, most often the picture's score.
        explained_as: What this number is, in words.
        baseline: The same number if none of the patches that contribute were anomalous; ``None`` if the method does not
            share the score out.
        contributions: Of patches, the largest first; they and the baseline add up to ``explained`` where there is a
            baseline, up to rounding or to the sampling error that is stated.
        settings: All that decided the explanation, as plain data.
        facts: What else the method found, as plain data.
        panels: Pictures to be shown beside it.
        threshold: Relevance above which pixels are outlined, and which colours have as their middle; ``None`` if the
            method has none, and colours go up to the largest relevance.
        private: Whether facts or panels show what must not leave the site, such as its own normal pictures.
    """

    relevance: Tensor
    explained: float
    explained_as: str
    baseline: float | None = None
    contributions: tuple[Contribution, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    panels: tuple[Panel, ...] = ()
    threshold: float | None = None
    private: bool = False


class Explainer(ABC):
    """Says why a picture got its score.

    Settings are arguments of the constructor, all with a default, and are told in every explanation.
    """

    @abstractmethod
    def explain(self, case: Case, *, seed: int) -> Explanation:
        """Explain a score.

        Args:
            case: The picture and its detector; not changed.
            seed: Decides every random choice. Equal arguments give equal explanations.

        Raises:
            ValueError: If the method cannot explain this case; the error says why and what to choose instead.
        """
