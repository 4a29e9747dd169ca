"""A small federation on drawn pictures, in which whitelisting really works, and a defence that knows the truth."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch

from anomalib_federated import registry
from anomalib_federated.data import AutoVI
from anomalib_federated.data.demo import make_demo_dataset
from anomalib_federated.evaluation.robustness.scene import Scene, make_scene
from anomalib_federated.interfaces.screening import Refusal, Screening
from anomalib_federated.models import FederatedPatchcore

CATEGORY, TARGET = "pipe_staple", "missing"


class Oracle(Screening):
    """Refuses what no honest site ever had: whoever uses it tells it beforehand."""

    honest: ClassVar[set[bytes]] = set()

    def screen(self, banks):
        refusals = []
        for bank in banks:
            rows = torch.tensor([row.numpy().tobytes() not in self.honest for row in bank.features])
            if rows.any():
                refusals.append(Refusal(site=bank.sites[0], rows=rows, reason="no honest site has these rows"))
        return refusals


def make_demo(folder: Path) -> Path:
    return make_demo_dataset(
        folder, categories=[CATEGORY], scale=0.32, train_images=16, good_images=6, images_per_defect=6
    )


def demo_model() -> FederatedPatchcore:
    return FederatedPatchcore(budget=200, image_size=(160, 160), visualizer=False, evaluator=False)


def demo_scene(root: Path, store: Path, **settings: object) -> Scene:
    return make_scene(
        AutoVI(root, [CATEGORY], validation_share=0.25),
        demo_model(),
        registry.build("partitioner", {"class_path": "iid", "init_args": {"sites": 3}}),
        **{"target": TARGET, "store": store, **settings},  # type: ignore[arg-type]
    )
