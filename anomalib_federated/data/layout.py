"""Finding pictures and masks in folders laid out like AutoVI or MVTec AD.

``<root>/<category>`` or ``<root>/<category>/<category>`` holds ``train/good``, ``test/<type>`` and, if there are masks,
``ground_truth/<type>/<stem>/*.png`` (AutoVI: one file per defect channel) or ``ground_truth/<type>/<stem>_mask.png``
(MVTec AD). Folder names are matched without regard to case; ``training`` and ``ok`` are understood too.
Hidden files and folders (``.name``) are passed over.
"""

from __future__ import annotations

from pathlib import Path

from pandas import DataFrame

from anomalib_federated.pictures import SUFFIXES

TRAIN, TEST = "train", "test"
GOOD = "good"
_TRAIN_NAMES = frozenset({"train", "training"})
_GOOD_NAMES = frozenset({"good", "ok"})

DEFECT_GROUPS = {
    "blue_hoop": "logical",
    "fastening": "logical",
    "missing": "logical",
    "unclipped": "logical",
    "logical_anomalies": "logical",
    "cardboard": "structural",
    "obstruction": "structural",
    "operator": "structural",
    "structural_anomalies": "structural",
}
"""AutoVI's defect types that are of one group; ``multiple`` is of both, and other data sets name their own."""


class LayoutError(ValueError):
    """The folders are not laid out as they should be; the message says where and how to mend it."""


def name_of(image_path: str | Path) -> str:
    """Path of an image below its category's folder: split, sub-folder and file.

    Example:
        >>> name_of("/data/screw/test/scratch/0001.png")
        'test/scratch/0001.png'
    """
    return "/".join(Path(image_path).parts[-3:])


def discover_categories(root: Path) -> list[str]:
    """Names of the categories below ``root``, in alphabetical order.

    Raises:
        LayoutError: If there is none.
    """
    if not root.is_dir():
        msg = f"There is no data folder {root}; give its path as data.root."
        raise LayoutError(msg)
    found = sorted(folder.name for folder in _folders(root) if _has_train(root, folder.name))
    if not found:
        msg = f"No folder below {root} has a '{TRAIN}' folder, so there is no category."
        raise LayoutError(msg)
    return found


def category_folder(root: Path, category: str) -> Path:
    """Folder that holds a category's ``train`` and ``test``.

    Raises:
        LayoutError: If there is none.
    """
    for folder in (root / category, root / category / category):
        if _child(folder, _TRAIN_NAMES) is not None:
            return folder
    msg = (
        f"There is no category '{category}' below {root}: neither {category}/{TRAIN} nor {category}/{category}/{TRAIN}."
    )
    raise LayoutError(msg)


def read_layout(root: Path, category: str) -> DataFrame:
    """All pictures of a category.

    Args:
        root: Data folder.
        category: Name of the category.

    Returns:
        One row per picture: ``image_path``, ``name`` (path relative to ``root``, with forward slashes), ``category``,
        ``split`` (``train`` or ``test``), ``label`` (sub-folder; ``good`` if normal), ``label_index`` (1 if defective),
        ``mask_path`` (file or folder of masks; empty if normal, or if the category has no ``ground_truth``).

    Raises:
        LayoutError: If there is no normal training picture, or a defective picture has no mask though others have.
    """
    folder = category_folder(root, category)
    rows = []
    train, test = _child(folder, _TRAIN_NAMES), _child(folder, frozenset({TEST}))
    truth = _child(folder, frozenset({"ground_truth"}))
    for split, split_folder in ((TRAIN, train), (TEST, test)):
        for type_folder in _folders(split_folder) if split_folder else ():
            good = type_folder.name.lower() in _GOOD_NAMES
            for image in _images(type_folder):
                masked = truth is not None and not good and split == TEST
                rows.append(
                    {
                        "image_path": str(image),
                        "name": image.relative_to(root).as_posix(),
                        "category": category,
                        "split": split,
                        "label": GOOD if good else type_folder.name,
                        "label_index": int(not good),
                        "mask_path": str(_mask_of(image, truth)) if masked and truth else "",
                    }
                )
    samples = DataFrame(rows, columns=["image_path", "name", "category", "split", "label", "label_index", "mask_path"])
    if samples[(samples["split"] == TRAIN) & (samples["label_index"] == 0)].empty:
        msg = f"Category '{category}' has no normal training picture in {train}/{GOOD}."
        raise LayoutError(msg)
    return samples


def mask_files(mask_path: str) -> list[Path]:
    """The mask files of a picture: itself a file, or all images of a folder.

    Raises:
        LayoutError: If there is none.
    """
    path = Path(mask_path)
    files = _images(path) if path.is_dir() else [path]
    if not files:
        msg = f"The mask folder {path} is empty; it needs one image per defect channel."
        raise LayoutError(msg)
    return files


def _mask_of(image: Path, truth: Path) -> Path:
    name = image.parent.name
    folder = _child(truth, frozenset({name.lower()})) or truth / name
    candidates = [folder / image.stem, *(folder / f"{image.stem}{end}" for end in ("_mask.png", ".png"))]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    msg = f"The defective picture {image} has no mask; expected the folder {candidates[0]} or the file {candidates[1]}."
    raise LayoutError(msg)


def _images(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _child(folder: Path, names: frozenset[str]) -> Path | None:
    if not folder.is_dir():
        return None
    return next((child for child in _folders(folder) if child.name.lower() in names), None)


def _has_train(root: Path, category: str) -> bool:
    try:
        category_folder(root, category)
    except LayoutError:
        return False
    return True
