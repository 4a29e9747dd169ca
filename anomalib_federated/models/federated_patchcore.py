"""PatchCore whose memory bank can come from anywhere: trained here, merged from several sites, loaded from a file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Literal

import torch
from anomalib import LearningType
from anomalib.data import Batch, InferenceBatch
from anomalib.metrics import AUPR, AUROC, Evaluator, F1Score
from anomalib.models.components import AnomalibModule, MemoryBankMixin
from anomalib.pre_processing import PreProcessor
from anomalib.visualization import Visualizer
from torch import Tensor, nn

from anomalib_federated import registry
from anomalib_federated.backbones import DEFAULT_BACKBONE, Backbone
from anomalib_federated.bank import BankError, FeatureSpace, MemoryBank
from anomalib_federated.bank.feature_space import Frame
from anomalib_federated.data.dataset import InspectionDataset
from anomalib_federated.interfaces.coreset import Coreset
from anomalib_federated.memory import parse_bytes
from anomalib_federated.metrics import AUSPRO
from anomalib_federated.models.category_rows import CategoryRows
from anomalib_federated.models.image_score import ImageScore, ScoreRule
from anomalib_federated.models.image_transform import image_transform
from anomalib_federated.models.patch_collection import PatchCollection
from anomalib_federated.models.patch_features import PatchFeatureExtractor
from anomalib_federated.models.patch_scorer import SMALLEST_SIDE, PatchScorer
from anomalib_federated.models.post_processor import NormalQuantilePostProcessor, categories_of

logger = logging.getLogger(__name__)


class FederatedPatchcore(MemoryBankMixin, AnomalibModule):
    """PatchCore (Roth et al. 2022, https://arxiv.org/abs/2106.08265) for one category or several.

    Trains like anomalib's ``Patchcore``, with a coreset plugin; its bank can be read and replaced; each picture is
    scored with the rows of its own category. With ``score="reweighted"``, layer scales of 1 and the same rows, its
    scores equal anomalib's.

    Args:
        backbone: timm architecture.
        layers: Layers whose features are used; ``None`` takes the usual ones of the backbone.
        weights: Local file of backbone weights; ``None`` takes packaged ones, else timm's hub.
        coreset: The coreset plugin: its name, or ``class_path`` and ``init_args``.
        budget: Bank rows per category: a number (int), a share of the patches (float in (0, 1]), or
            ``{radius: R, rows: MOST}`` for as many rows as it takes to cover all patches within ``R``.
        image_size: Height and width to which pictures are resized; ``None`` keeps each picture's own size.
        keep_aspect_ratio: If true, pictures keep their shape and ``image_size`` sets only their area.
        frame: ``part`` turns, moves and scales each picture so that the part in it lies level, its heavy end to the
            left: for parts that lie anyhow on a plain background.
        layer_scales: Constant per layer by which its features are divided; ``None`` takes those of the backbone.
        score: Rule for the score of a picture: ``max``, ``smoothed_max``, ``top_fraction`` or ``reweighted``
            (not for rows that have places).
        num_neighbors: Neighbourhood size of ``reweighted``.
        score_clip: The most that one patch's distance counts, in scores and maps; ``None`` takes it as it is.
        site_quorum: How many sites must have seen the like of what is normal: a patch's distance is that to its site of
            this rank. With 2, no single site can make a defect normal for all.
        false_alarm_rate: Share of normal validation pictures that may score above the threshold.
        site: Name that rows selected here carry.
        seed: Decides every random choice of the coreset.
        memory: What training may use, workers included, such as ``"4GB"``; ``None`` leaves half of what the machine has
            free to others.
        store: Folder in which training keeps patch features, so that interrupted training goes on where it was;
            ``None`` keeps them in a temporary one (in ``TMPDIR``), until the bank is selected.
        store_dtype: Type in which features are stored: ``float16`` (half the disk) or ``float32``.
        pre_processor: As in anomalib.
        post_processor: As in anomalib; the default is :class:`NormalQuantilePostProcessor`.
        evaluator: As in anomalib; the default measures image AUROC, average precision, F1 and AUC-sPRO at 0.05.
        visualizer: As in anomalib.

    Raises:
        BackboneError: If the backbone or its weights cannot be had.
        PluginError: If the coreset plugin cannot be had.
        ValueError: If a setting is impossible.

    Example:
        >>> model = FederatedPatchcore(budget=100)
        >>> model.space.layers
        ('blocks.2', 'blocks.4')
    """

    def __init__(
        self,
        backbone: str = DEFAULT_BACKBONE,
        layers: Sequence[str] | None = None,
        *,
        weights: str | None = None,
        coreset: str | dict[str, Any] = "k_center",
        budget: int | float | dict[str, int | float] = 10_000,
        image_size: tuple[int, int] | None = (320, 320),
        keep_aspect_ratio: bool = False,
        frame: Frame = "picture",
        layer_scales: Sequence[float] | None = None,
        score: ScoreRule = "smoothed_max",
        num_neighbors: int = 9,
        score_clip: float | None = None,
        site_quorum: int = 1,
        false_alarm_rate: float = 0.05,
        site: str = "local",
        seed: int = 0,
        memory: str | int | None = None,
        store: str | None = None,
        store_dtype: Literal["float16", "float32"] = "float16",
        pre_processor: nn.Module | bool = True,
        post_processor: nn.Module | bool = True,
        evaluator: Evaluator | bool = True,
        visualizer: Visualizer | bool = True,
    ) -> None:
        extractor = PatchFeatureExtractor(
            Backbone(backbone, layers=layers, weights=weights),
            scales=layer_scales,
            image_size=image_size,
            keep_aspect_ratio=keep_aspect_ratio,
            frame=frame,
        )
        # anomalib builds its default components before the feature space could be known, so they are passed to it.
        if pre_processor is True:
            pre_processor = PreProcessor(transform=image_transform(extractor.space))
        if post_processor is True:
            post_processor = NormalQuantilePostProcessor(false_alarm_rate=false_alarm_rate)
        super().__init__(
            pre_processor=pre_processor, post_processor=post_processor, evaluator=evaluator, visualizer=visualizer
        )
        self.model = extractor
        self.coreset: Coreset = registry.build("coreset", coreset, budget=budget)
        self.coreset_name = registry.name_of(coreset, kind="coreset")
        self.coreset_args = {} if isinstance(coreset, str) else dict(coreset.get("init_args") or {})
        self.scorer = PatchScorer(ImageScore(score, neighbors=num_neighbors, clip=score_clip), site_quorum=site_quorum)
        self.site = site
        self.seed = seed
        self._bank: MemoryBank | None = None
        self._rows: dict[str, CategoryRows] = {}
        self.memory = None if memory is None else parse_bytes(memory)
        self.store = store
        self.store_dtype = store_dtype
        self._patches: PatchCollection | None = None

    @property
    def space(self) -> FeatureSpace:
        """The feature space of this model's banks."""
        return self.model.space

    @property
    def bank(self) -> MemoryBank:
        """The memory bank; setting it makes the model ready to score, and to be calibrated anew.

        Raises:
            BankError: On reading, if the model has none yet; on setting, if the bank's feature space is another one
                (the error names the field), or it has rows of fewer sites than the quorum.
        """
        if self._bank is None:
            msg = "The model has no memory bank yet: fit it, or set its bank."
            raise BankError(msg)
        return self._bank

    @bank.setter
    def bank(self, bank: MemoryBank) -> None:
        if differing := bank.space.differences(self.space):
            msg = f"The bank was not made by this model's settings: {differing}."
            raise BankError(msg)
        quorum = self.scorer.site_quorum
        rows = {name: CategoryRows.of(bank.for_category(name), site_quorum=quorum) for name in bank.categories}
        self._bank = bank
        self._compare_with(rows)
        self._is_fitted = torch.tensor([True], device=self.device)

    def search_as_exported(self) -> None:
        """Compare patches with rows as exported graphs do, in two stages if there are many, to be calibrated anew."""
        self._compare_with({name: self.category_rows(name).sketched() for name in self.bank.categories})

    def _compare_with(self, rows: dict[str, CategoryRows]) -> None:
        self._rows = rows
        if isinstance(self.post_processor, NormalQuantilePostProcessor):
            self.post_processor.forget()  # thresholds of other distances say nothing

    def category_rows(self, category: str) -> CategoryRows:
        """The bank rows of a category, as patches are compared with them, on the model's device.

        Raises:
            BankError: If the bank holds no such category.
        """
        if category not in self.bank.categories:
            msg = f"The bank holds no category '{category}', only {', '.join(self.bank.categories)}."
            raise BankError(msg)
        self._rows[category] = self._rows[category].to(self.device)
        return self._rows[category]

    def on_train_start(self) -> None:
        """Start anew: training that was interrupted leaves nothing behind but its store."""
        self._drop_patches()

    def training_step(self, batch: Batch, *args: object, **kwargs: object) -> Tensor:
        """Collect the batch's patch features; if all of them are stored already, the network is spared."""
        del args, kwargs
        categories, pictures = categories_of(batch), batch.image_path
        with ExitStack() as on_failure:
            on_failure.callback(self._drop_patches)  # a store that stayed open could not be resumed
            patches = self._collection()
            if pictures is None or not all(patches.find(*pair) for pair in zip(categories, pictures, strict=True)):
                patches.add(self.model(batch.image).detach(), categories, pictures)
            on_failure.pop_all()
        return torch.tensor(0.0, requires_grad=True, device=self.device)

    def fit(self) -> None:
        """Select the bank from the patch features collected."""
        try:
            self.bank = self._collection().build_bank(
                self.coreset, method=self.coreset_name, site=self.site, seed=self.seed
            )
        finally:
            self._drop_patches()

    def _collection(self) -> PatchCollection:
        # Made when it is needed: a model that only scores has no folder, and can be pickled.
        if self._patches is None:
            loader = self._trainer.train_dataloader if self._trainer else None
            self._patches = PatchCollection(
                self.space,
                Path(self.store) if self.store else None,
                memory=self.memory,
                dtype=self.store_dtype,
                reading=_reading(getattr(loader, "dataset", None)),
            )
        return self._patches

    def _drop_patches(self) -> None:
        if self._patches is not None:
            self._patches.close()
            self._patches = None

    def predict_batch(self, images: Tensor, categories: Sequence[str]) -> InferenceBatch:
        """Score pictures, each with its category's rows.

        Args:
            images: Resized and normalised pixels, shape ``(batch, 3, height, width)``.
            categories: Category of each picture.

        Returns:
            Raw scores of shape ``(batch,)`` and anomaly maps of shape ``(batch, 1, height, width)``.

        Raises:
            BankError: If a category is not in the bank.
            ValueError: If the pictures are too small for an anomaly map.
        """
        size = self.model.map_size(images)
        if min(size) < SMALLEST_SIDE:
            shown = " x ".join(map(str, size))
            msg = f"A picture of {shown} pixels is too small to score; give the model an image_size of 32 or more."
            raise ValueError(msg)
        placement = self.model.place(images)
        embedding = self.model(images, placement)
        scores = images.new_empty(len(images))
        maps = images.new_empty(len(images), 1, *size)
        for category in sorted(set(categories)):
            members = [position for position, name in enumerate(categories) if name == category]
            rows = self.category_rows(category)
            affine = placement and placement.affine[members]
            scores[members], maps[members] = self.scorer(embedding[members], rows, size, affine)
        return InferenceBatch(pred_score=scores, anomaly_map=maps)

    def validation_step(self, batch: Batch, *args: object, **kwargs: object) -> Batch:
        """Add raw scores and maps to the batch."""
        del args, kwargs
        # Pictures that do not say their category are of the only one in the bank; the post-processor reads it there.
        batch.category = getattr(batch, "category", None) or [self._only_category()] * len(batch.image)
        return batch.update(**self.predict_batch(batch.image, batch.category)._asdict())

    def on_validation_epoch_end(self) -> None:
        """Look at the thresholds that the post-processor has just set."""
        self.check_clip()

    def check_clip(self) -> None:
        """Refuse a clip so low that no picture could ever score above a threshold.

        Raises:
            ValueError: If it is; the error names the category.
        """
        clip = self.scorer.image_score.clip
        if clip is None or not isinstance(self.post_processor, NormalQuantilePostProcessor):
            return
        for category, threshold in self.post_processor.thresholds.items():
            if threshold.image >= clip:
                msg = (
                    f"score_clip is {clip:g}, but the threshold from normal pictures of '{category}' is "
                    f"{threshold.image:.4g}, so that nothing could be called anomalous; give a larger clip, or none."
                )
                raise ValueError(msg)

    def test_step(self, batch: Batch, *args: object, **kwargs: object) -> Batch:
        """Add raw scores and maps to the batch."""
        return self.validation_step(batch, *args, **kwargs)

    def predict_step(self, batch: Batch, *args: object, **kwargs: object) -> Batch:
        """Add raw scores and maps to the batch."""
        return self.validation_step(batch, *args, **kwargs)

    def forward(self, batch: Tensor, category: str | None = None) -> InferenceBatch:
        """Score pictures of one category, from pixels to verdict.

        Args:
            batch: Pixels in 0 .. 1, shape ``(batch, 3, height, width)``.
            category: Their category; may be left out if the bank holds one.

        Raises:
            BankError: If the category is left out and the bank holds several, or is not in the bank.
        """
        category = category or self._only_category()
        images = self.pre_processor.transform(batch) if self.pre_processor else batch
        placement = self.model.place(images)
        embedding, affine = self.model(images, placement), placement and placement.affine
        scores, maps = self.scorer(embedding, self.category_rows(category), self.model.map_size(images), affine)
        predictions = InferenceBatch(pred_score=scores, anomaly_map=maps)
        return self.post_processor(predictions, category) if self.post_processor else predictions

    def to_onnx(self, *args: Any, **kwargs: Any) -> Path:  # noqa: ANN401 - as in anomalib
        """Export to ONNX as anomalib does, in the first opset that knows antialiased resizing.

        ONNX's antialiasing differs from torch's, and so do scores of pictures larger than the network's size, by one
        or two per cent; :func:`anomalib_federated.deploy.export.export_bundle` writes ONNX that agrees.

        Raises:
            ValueError: If features are made in the part's frame: torch's ONNX export has no resizing to a size that it
                computes from the picture's.
        """
        if self.space.frame == "part":
            msg = "A model in the part's frame cannot be exported to ONNX; export it to OpenVINO, or set frame=picture."
            raise ValueError(msg)
        kwargs.setdefault("opset_version", 18)
        path: Path = super().to_onnx(*args, **kwargs)
        return path

    def _only_category(self) -> str:
        if len(self.bank.categories) > 1:
            msg = f"The bank holds several categories, name one: {', '.join(self.bank.categories)}."
            raise BankError(msg)
        return self.bank.categories[0]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the bank as the bytes of its file: loaded without unpickling, validated on arrival."""
        super().on_save_checkpoint(checkpoint)
        if self._bank is not None:
            checkpoint["memory_bank"] = torch.frombuffer(bytearray(self.bank.to_bytes()), dtype=torch.uint8)

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Restore the bank."""
        if "memory_bank" in checkpoint:
            self.bank = MemoryBank.from_bytes(
                checkpoint["memory_bank"].numpy().tobytes(), source="The checkpoint's bank"
            )
        super().on_load_checkpoint(checkpoint)

    @property
    def trainer_arguments(self) -> dict[str, Any]:
        """One pass over the data, on one device."""
        return {"gradient_clip_val": 0, "max_epochs": 1, "num_sanity_val_steps": 0, "devices": 1}

    @property
    def learning_type(self) -> LearningType:
        """PatchCore learns from normal pictures only."""
        return LearningType.ONE_CLASS

    @staticmethod
    def configure_optimizers() -> None:
        """Nothing is optimised."""

    @staticmethod
    def configure_evaluator() -> Evaluator:
        """Image AUROC, average precision and F1, and AUC-sPRO at a false positive rate of 0.05."""
        image = ["pred_score", "gt_label"]
        return Evaluator(
            test_metrics=[
                AUROC(fields=image, prefix="image_"),
                AUPR(fields=image, prefix="image_"),
                F1Score(fields=["pred_label", "gt_label"], prefix="image_"),
                AUSPRO(prefix="pixel_", strict=False),
            ]
        )


def _reading(dataset: object) -> str:
    """How a data set reads its pictures; one of anomalib's own says it by its augmentations alone."""
    if isinstance(dataset, InspectionDataset):
        return dataset.reading
    return repr(getattr(dataset, "augmentations", None))
