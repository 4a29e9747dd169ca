from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from anomalib_federated.deploy.layers import heat_layer, heat_map, normalise, outline_layer
from anomalib_federated.deploy.overlay import _paint_heat
from anomalib_federated.evaluation.gallery.gallery import Gallery, GalleryError, read_gallery
from anomalib_federated.evaluation.measuring.scored_image import ScoredImage
from anomalib_federated.metrics import Defect

SIDE = 12


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("photo") / "part.png"
    Image.fromarray(np.full((SIDE, 2 * SIDE, 3), 128, dtype=np.uint8)).save(path)
    return path


def scored(name: str, score: float, photo: Path, *, defect_type: str = "good", peak: float = 1.0) -> ScoredImage:
    anomaly_map = np.zeros((SIDE, 2 * SIDE), dtype=np.float32)
    anomaly_map[2:6, 2:6] = peak
    mask = np.zeros(anomaly_map.shape, dtype=np.bool_)
    mask[2:6, 2:6] = True
    defects = () if defect_type == "good" else (Defect(mask, 4, defect_type),)
    return ScoredImage(
        name=f"test/{defect_type}/{name}.png",
        category="nut",
        defect_type=defect_type,
        score=score,
        anomaly_map=anomaly_map,
        defects=defects,
        image_path=photo,
    )


def shown(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for example in read_gallery(folder):
        found.setdefault(example.entry.verdict, []).append(Path(example.entry.name).stem)
    return found


def test_the_hardest_of_each_verdict_come_first(tmp_path: Path, photo: Path) -> None:
    gallery = Gallery(1.0, 1.0, per_verdict=2)
    for name, score in {"b1": 0.5, "b2": 1.0, "b3": 0.2, "b4": 1.1, "b5": 9.0}.items():
        gallery.add(scored(name, score, photo, defect_type="bent"))
    for name, score in {"g1": 1.2, "g2": 3.0, "g3": 1.0, "g4": 0.1, "g5": 2.0}.items():
        gallery.add(scored(name, score, photo))
    assert shown(gallery.write(tmp_path / "gallery")) == {
        "missed": ["b3", "b1"],  # b2 scores the threshold itself: not above it, but the third
        "false_alarm": ["g2", "g5"],
        "found": ["b4", "b5"],
        "passed": ["g3", "g4"],
    }


@given(
    images=st.lists(st.tuples(st.sampled_from([0.5, 0.9, 1.0, 1.1, 2.0]), st.booleans()), max_size=14),
    shuffle=st.randoms(use_true_random=False),
)
def test_the_order_of_adding_changes_nothing(
    images: list[tuple[float, bool]], shuffle: random.Random, photo: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    candidates = [
        scored(f"{index:02d}", score, photo, defect_type="good" if good else "bent")
        for index, (score, good) in enumerate(images)
    ]

    def kept(order: Sequence[ScoredImage]) -> dict[str, list[str]]:
        gallery = Gallery(1.0, 1.0, per_verdict=3)
        for image in order:
            gallery.add(image)
        return {verdict: [kept.name for kept in own] for verdict, own in gallery._kept.items()}

    # Independent of the gallery: sort everything, then take the first ones.
    expected = {
        verdict: [
            image.name
            for image in sorted(candidates, key=lambda image: (-image.score if image.good else image.score, image.name))
            if (image.good, image.score > 1.0) == of_verdict
        ][:3]
        for verdict, of_verdict in {
            "missed": (False, False),
            "false_alarm": (True, True),
            "found": (False, True),
            "passed": (True, False),
        }.items()
    }
    mixed = list(candidates)
    shuffle.shuffle(mixed)
    assert kept(candidates) == kept(mixed) == expected


def test_pictures_show_image_defect_map_and_overlay(tmp_path: Path, photo: Path) -> None:
    gallery = Gallery(0.5, 1.0)
    gallery.add(scored("a", 0.6, photo, defect_type="bent", peak=3.0))
    (example,) = read_gallery(gallery.write(tmp_path / "gallery"))
    pictures = {layer: np.asarray(example.picture(layer)).astype(int) for layer in example.pictures}
    assert all(picture.shape == (SIDE, 2 * SIDE, 3) for picture in pictures.values())
    assert np.abs(pictures["image"] - 128).max() <= 3
    # The white line lies just outside the mask [2:6, 2:6], the dark one around it.
    assert pictures["defect"][1, 3].min() > 250
    assert pictures["defect"][0, 3].max() < 40
    assert np.abs(pictures["defect"][3, 3] - 128).max() <= 3
    # Far above the threshold is orange (3 / (3 + 1) = 0.75), nothing is blue.
    assert pictures["map"][3, 3, 0] > pictures["map"][3, 3, 2] + 60
    assert pictures["map"][9, 20, 2] > pictures["map"][9, 20, 0] + 60
    assert pictures["heat"][3, 3, 0] > pictures["heat"][3, 3, 2] + 30
    assert np.abs(pictures["heat"][9, 20] - 128).max() <= 6


def test_a_good_image_has_no_annotated_defect(tmp_path: Path, photo: Path) -> None:
    gallery = Gallery(0.5, 1.0)
    gallery.add(scored("a", 0.4, photo))
    (example,) = read_gallery(gallery.write(tmp_path / "gallery"))
    assert sorted(example.pictures) == ["heat", "image", "map"]


def test_colours_are_scaled_by_the_threshold_not_by_the_image(tmp_path: Path, photo: Path) -> None:
    gallery = Gallery(0.5, 1.0)
    gallery.add(scored("weak", 0.6, photo, peak=0.3))
    gallery.add(scored("strong", 0.7, photo, peak=3.0))
    strong, weak = read_gallery(gallery.write(tmp_path / "gallery"))
    assert np.asarray(weak.picture("map"))[3, 3, 0] < 80
    assert np.asarray(strong.picture("map"))[3, 3, 0] > 180


def test_large_images_are_reduced_and_thin_defects_stay(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("RGB", (1500, 900)).save(path)
    mask = np.zeros((900, 1500), dtype=np.bool_)
    mask[450, 700] = True
    gallery = Gallery(0.5, 1.0)
    gallery.add(
        ScoredImage(
            name="test/bent/0.png",
            category="nut",
            defect_type="bent",
            score=0.1,
            anomaly_map=np.zeros((900, 1500), dtype=np.float32),
            defects=(Defect(mask, 1),),
            image_path=path,
        )
    )
    (example,) = read_gallery(gallery.write(tmp_path / "gallery"))
    outlined = np.asarray(example.picture("defect"))
    assert outlined.shape == (288, 480, 3)
    assert outlined.max() == 255


def test_layers_are_what_the_inspection_station_paints() -> None:
    rng = np.random.default_rng(0)
    photo = Image.fromarray(rng.integers(0, 256, size=(20, 30, 3), dtype=np.uint8))
    normalised = rng.uniform(size=(20, 30)).astype(np.float32)
    layered = Image.alpha_composite(photo.convert("RGBA"), heat_layer(normalised)).convert("RGB")
    difference = np.asarray(layered).astype(int) - np.asarray(_paint_heat(photo, normalised)).astype(int)
    assert np.abs(difference).max() <= 2  # of rounding the cover to 8 bit


def test_scores_below_zero_and_no_score_are_blue() -> None:
    normalised = normalise(np.array([[-2.0, 0.0, 1.0]], dtype=np.float32), 1.0)
    assert normalised.tolist() == [[0.0, 0.0, 0.5]]
    assert np.asarray(heat_map(normalised))[0].tolist() == [[38, 58, 150], [38, 58, 150], [245, 215, 95]]


def test_an_outline_does_not_cover_the_area() -> None:
    area = np.zeros((9, 9), dtype=np.bool_)
    area[4, 4] = True
    alpha = np.asarray(outline_layer(area))[..., 3]
    assert alpha[4, 4] == 0
    assert (alpha[2:7, 2:7] > 0).sum() == 24
    assert alpha.sum() == 24 * 255


def test_writing_again_leaves_nothing_of_the_old_gallery(tmp_path: Path, photo: Path) -> None:
    folder = tmp_path / "gallery"
    for scores in ((0.6, 0.7), (0.8,)):
        gallery = Gallery(0.5, 1.0)
        for index, score in enumerate(scores):
            gallery.add(scored(str(index), score, photo))
        gallery.write(folder)
    assert len(list(folder.iterdir())) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["gallery"]


def test_a_folder_with_something_else_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(GalleryError, match="is there and no gallery"):
        Gallery(0.5, 1.0).write(tmp_path)
    assert (tmp_path / "metrics.json").read_text() == "{}"


def test_a_gallery_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, photo: Path) -> None:
    folder, lost = tmp_path / "gallery", tmp_path / "lost.png"
    gallery = Gallery(0.5, 1.0)
    gallery.add(scored("a", 0.6, photo))
    gallery.write(folder)
    gallery.add(scored("b", 0.7, lost))
    with pytest.raises(ValueError, match=r"lost\.png"):
        gallery.write(folder)
    assert shown(folder) == {"false_alarm": ["a"]}
    assert [path.name for path in tmp_path.iterdir()] == ["gallery"]


@pytest.mark.parametrize(
    ("threshold", "pixel_threshold", "per_verdict", "word"),
    [(float("nan"), 1.0, 6, "threshold is nan"), (1.0, 0.0, 6, "pixel_threshold is 0"), (1.0, 1.0, 0, "per_verdict")],
)
def test_wrong_thresholds_are_refused(threshold: float, pixel_threshold: float, per_verdict: int, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        Gallery(threshold, pixel_threshold, per_verdict=per_verdict)


def test_reading_names_what_is_wrong(tmp_path: Path, photo: Path) -> None:
    with pytest.raises(GalleryError, match=r"There is no .*gallery\.json"):
        read_gallery(tmp_path)
    gallery = Gallery(0.5, 1.0)
    gallery.add(scored("a", 0.6, photo))
    folder = gallery.write(tmp_path / "gallery")
    index = json.loads((folder / "gallery.json").read_text())
    index["examples"][0]["verdict"] = "../../elsewhere"
    (folder / "gallery.json").write_text(json.dumps(index))
    with pytest.raises(GalleryError, match=r"gallery\.json is no gallery .*examples\.0\.verdict"):
        read_gallery(folder)
    gallery.write(folder)
    (folder / "false_alarm_00_map.webp").unlink()
    with pytest.raises(GalleryError, match=r"false_alarm_00_map\.webp .* is missing"):
        read_gallery(folder)
