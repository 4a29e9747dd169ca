"""A small experiment on drawn images whose detectors are made up: real pictures, masks, figures and galleries."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from anomalib_federated.data.demo import make_demo_dataset
from anomalib_federated.data.layout import mask_files, name_of, read_layout
from anomalib_federated.data.masks import read_defects
from anomalib_federated.evaluation.fairness.division import Division, by_defect_type
from anomalib_federated.evaluation.fairness.fairness_file import write_fairness
from anomalib_federated.evaluation.fairness.measure import cut_of, measure_fairness
from anomalib_federated.evaluation.figures import Figures
from anomalib_federated.evaluation.gallery.gallery import GALLERY, Gallery
from anomalib_federated.evaluation.measuring.measure import measure_set
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.evaluation.measuring.scored_set import collect
from anomalib_federated.evaluation.results import BankFacts, Result, SiteShare, result_folder, write_result
from anomalib_federated.interfaces.refused import Refused
from anomalib_federated.metrics import DefectsConfig
from anomalib_federated.testing.privacy import example_report

STRENGTH = {"centralised": 1.5, "federated": 1.3, "federated_iid": 1.4}
SITES = ("plant_north", "plant_south", "plant_west")
REFUSED = (
    Refused(
        screening="finite_and_norm", site="plant_south", category="pipe_staple", rows=12, of=1165,
        reason="12 rows repeat an earlier row of the site",
    ),
    Refused(
        screening="site_zscore", site="plant_east", category="pipe_staple", rows=1200, of=1200,
        reason="largest norm 156, 1.63 in the middle: 45.6 robust standard deviations, more than 3.5",
    ),
)  # fmt: skip


def make_example(
    folder: Path,
    *,
    categories: Sequence[str] = ("pipe_staple", "tank_screw"),
    methods: Sequence[str] = tuple(STRENGTH),
    seeds: Sequence[int] = (0, 1),
    scale: float = 0.16,
    images: int = 3,
    resamples: int = 20,
) -> Path:
    """Draw images, make up what detectors see in them, and measure it; the folder of the experiment."""
    data = make_demo_dataset(
        folder / "data",
        categories=categories,
        scale=scale,
        train_images=1,
        good_images=images,
        images_per_defect=images,
    )
    output = folder / "experiment"
    for seed in seeds:
        for method in methods:
            for category in categories:
                _make_cell(output / f"seed_{seed}", data, method, category, seed=seed, resamples=resamples)
    return output


def _make_cell(output: Path, data: Path, method: str, category: str, *, seed: int, resamples: int) -> None:
    rng = np.random.default_rng([seed, *method.encode(), *category.encode()])
    scored = list(_scored(data, category, rng, strength=STRENGTH.get(method, 1.0)))
    validation = tuple(rng.normal(1.45, 0.07, size=30).tolist())
    divisions = _divisions(scored)
    test_set = collect(scored, with_counts=resamples > 0, cut=lambda picture: cut_of(divisions, picture))
    figures = measure_set(test_set, validation_scores=validation, resamples=resamples)
    distances = {f"train/good/{index}.png": rng.gamma(9, 0.1, size=50).astype(np.float32) for index in range(6)}
    fairness = measure_fairness(
        test_set,
        divisions,
        method=method,
        validation_scores=validation,
        distances=distances,
        resamples=resamples,
        seed=seed,
    )
    write_fairness(output, fairness)
    write_result(output, _result(method, category, seed, figures))
    gallery = Gallery(threshold=figures.operating_points[1].threshold, pixel_threshold=1.6)
    for image in scored:
        gallery.add(image)
    gallery.write(result_folder(output, method, category) / GALLERY)


def _divisions(scored: Sequence[ScoredImage]) -> list[Division]:
    """Two made-up lines, of which the second has more than the first, and the types of defects."""
    lines = {item.name: f"line_{1 + (number % 3 > 0)}" for number, item in enumerate(scored)}
    held_out = {f"train/good/{index}.png": f"line_{1 + index % 2}" for index in range(6)}
    return [
        Division(by="group", groups=lines | held_out),
        by_defect_type({item.name: item.defect_type for item in scored}),
    ]


def _scored(data: Path, category: str, rng: np.random.Generator, *, strength: float) -> Iterator[ScoredImage]:
    config = DefectsConfig.from_file(data / category / "defects_config.json")
    samples = read_layout(data, category)
    for row in samples[samples["split"] == "test"].itertuples():
        with Image.open(str(row.image_path)) as image:
            width, height = image.size
        files = mask_files(str(row.mask_path)) if row.mask_path else []
        defects = read_defects(files, size=(height, width), config=config, label=str(row.label))
        noise = gaussian_filter(rng.normal(size=(height, width)), width / 40)
        seen = 1.0 + 0.15 * noise / noise.std()
        for defect in defects:
            blurred = gaussian_filter(defect.mask.astype(float), width / 60)
            seen += strength * rng.uniform(0.1, 1.2) * blurred / blurred.max()
        anomaly_map = np.maximum(seen, 0).astype(np.float32)
        yield ScoredImage(
            name=name_of(str(row.image_path)),
            category=category,
            defect_type=str(row.label),
            score=float(anomaly_map.max()),
            anomaly_map=anomaly_map,
            defects=defects,
            image_path=Path(str(row.image_path)),
        )


def _result(method: str, category: str, seed: int, figures: Figures) -> Result:
    pooled = method == "centralised"
    shares = [
        SiteShare(
            site=site,
            images=n,
            patches=784 * n,
            rows=rows,
            bytes_up=0 if pooled else 2 * 640 * rows,
            bytes_down=0 if pooled else 640 * 620,
        )
        for site, n, rows in zip(SITES, (60, 25, 15), (220, 115, 91) if pooled else (340, 165, 115), strict=True)
    ]
    rows = sum(share.rows for share in shares)
    refused = REFUSED if method == "federated" and category == "pipe_staple" else ()
    if refused:
        shares.append(SiteShare(site="plant_east", images=0, patches=0, rows=0, bytes_up=768_000, bytes_down=0))
    return Result(
        method=method,
        category=category,
        seed=seed,
        figures=figures,
        bank=BankFacts(
            rows=rows,
            bytes=640 * rows,
            covering_radius=0.41,
            sites=tuple(shares),
            privacy=() if pooled else (json.loads(example_report(epsilon=2.0).to_json()),),
            refused=refused,
        ),
        settings={
            "backbone": "tf_efficientnet_lite0",
            "coreset": {"name": "k_center", "budget": rows},
            "strategy": None if pooled else "federated_coreset",
            "seed": seed,
        },
        versions={"python": "3.11.9", "anomalib-federated": "0.1.0", "torch": "2.15.0"},
    )
