"""One category's detector as a single graph, from pixels to verdict, in a form that can be traced and exported."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from anomalib_federated.models.category_rows import CategoryRows
from anomalib_federated.models.federated_patchcore import FederatedPatchcore
from anomalib_federated.models.image_transform import TraceableTransform
from anomalib_federated.models.post_processor import normalise

OUTPUTS = ("pred_score", "pred_label", "anomaly_map", "pred_mask")
"""Names of the graph's outputs, in order; anomalib's inferencers know them."""


class DetectorGraph(nn.Module):
    """Pictures in, verdicts out. What differs between categories is an input too, so that one trace serves all.

    Args:
        model: The detector.
        fields: Names of the tensors that the category's :class:`CategoryRows` have.
    """

    def __init__(self, model: FederatedPatchcore, fields: Sequence[str]) -> None:
        super().__init__()
        self.fields = tuple(fields)
        self.transform = TraceableTransform(model.space)
        self.extractor = model.model
        self.scorer = model.scorer
        self.eval()

    def forward(self, images: Tensor, *constants: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Inspect pictures of one category.

        Args:
            images: Pixels in 0 .. 1, shape ``(batch, 3, height, width)``.
            *constants: What differs between categories: the tensors of its :class:`CategoryRows`, in the order of
                ``fields``, the raw score above which a picture is anomalous, and the raw distance above which a pixel
                is, both scalars.

        Returns:
            Normalised scores ``(batch,)``, whether each is anomalous ``(batch,)``, normalised anomaly maps
            ``(batch, 1, height, width)`` at the network's resolution, and which of their pixels are anomalous.
        """
        *tensors, image_threshold, pixel_threshold = constants
        rows = CategoryRows.from_tensors(dict(zip(self.fields, tensors, strict=True)))
        prepared = self.transform(images)
        placement = self.extractor.place(prepared)
        embedding, affine = self.extractor(prepared, placement), placement and placement.affine
        scores, maps = self.scorer(embedding, rows, self.extractor.map_size(prepared), affine)
        scores, maps = normalise(scores, image_threshold), normalise(maps, pixel_threshold)
        return scores, scores > 0.5, maps, maps > 0.5
