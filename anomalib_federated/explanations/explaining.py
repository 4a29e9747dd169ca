"""Pictures x explainers: each explanation as a picture and as numbers, below ``OUTPUT/interpretability/<category>``."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalib_federated import __version__, registry
from anomalib_federated.explanations.case import ModelCase
from anomalib_federated.explanations.drawing import draw
from anomalib_federated.explanations.explanation_file import (
    INTERPRETABILITY,
    ExplanationError,
    read_told,
    told_of,
    write_told,
)
from anomalib_federated.explanations.normal_pictures import NormalPictures
from anomalib_federated.files import whole_file
from anomalib_federated.interfaces.explainer import Explainer
from anomalib_federated.models import FederatedPatchcore
from anomalib_federated.pictures import decode_image, read_regular_file
from anomalib_federated.progress import progress_bar

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A picture that is to be explained.

    Attributes:
        path: Its file.
        name: Path below its category's folder, with forward slashes; decides the names of what is written.
        category: Its category.
        annotated: ``(H, W)`` bool: pixels of its defects, if somebody marked them.
    """

    path: Path
    name: str
    category: str
    annotated: NDArray[np.bool_] | None = field(default=None, repr=False, compare=False)

    @property
    def stem(self) -> str:
        """What names of files begin with.

        Example:
            >>> Asked(path=Path("1.png"), name="test/dent/1.png", category="screw").stem
            'dent_1'
        """
        parts = Path(self.name).with_suffix("").parts
        return "_".join(parts[1:] if len(parts) > 2 else parts)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What was done.

    Attributes:
        files: JSON files of all explanations asked for, in the order of pictures and explainers.
        computed: How many were made now; the others were there already.
    """

    files: tuple[Path, ...]
    computed: int


def explain_pictures(
    model: FederatedPatchcore,
    pictures: Sequence[Asked],
    explainers: Sequence[str | Mapping[str, Any]],
    *,
    output: Path,
    seed: int = 0,
    normal: Mapping[str, NormalPictures] | None = None,
) -> Outcome:
    """Explain pictures, and write what is not there already with the same settings.

    Args:
        model: With a bank; scores are those of evaluation.
        pictures: What to explain.
        explainers: Names of explainer plugins, or ``class_path`` and ``init_args``.
        output: Folder to write ``interpretability/<category>/<image>_<method>.png`` and ``.json`` in.
        seed: Decides every random choice.
        normal: The site's own normal pictures, per category.

    Raises:
        BankError: If the bank lacks a category.
        ExplanationError: If two pictures or two explainers would write the same files, or an explanation is wrong.
        PluginError: If an explainer cannot be had.
        ValueError: If a picture cannot be read or is too small, or an explainer cannot explain it.
    """
    made = {method_of(spec): (registry.build("explainer", spec), spec) for spec in explainers}
    if len(made) < len(explainers):
        msg = f"An explainer is named twice among {', '.join(map(method_of, explainers))}; name each once."
        raise ExplanationError(msg)
    _check_names(pictures)
    for category in sorted({each.category for each in pictures}):
        model.category_rows(category)  # refused before anything is computed
    files, computed = [], 0
    with progress_bar("explaining", total=len(pictures) * len(made)) as advance:
        for asked in pictures:
            data = read_regular_file(asked.path)
            own = (normal or {}).get(asked.category)
            case: ModelCase | None = None
            for method, (explainer, spec) in made.items():
                path = output / INTERPRETABILITY / asked.category / f"{asked.stem}_{method}.json"
                made_from = _made_from(model, asked, data, spec, seed=seed, normal=own)
                if not _is_there(path, made_from):
                    case = case or _case(model, asked, data, own)
                    _explain(case, explainer, path, method=method, made_from=made_from, asked=asked, seed=seed)
                    computed += 1
                files.append(path)
                advance(1)
    return Outcome(files=tuple(files), computed=computed)


def _explain(
    case: ModelCase,
    explainer: Explainer,
    path: Path,
    *,
    method: str,
    made_from: Mapping[str, Any],
    asked: Asked,
    seed: int,
) -> None:
    try:
        explanation = explainer.explain(case, seed=seed)
    except ValueError as error:
        msg = f"The explainer '{method}' cannot explain {asked.name}: {error}"
        raise ExplanationError(msg) from error
    told = told_of(case, explanation, method=method, made_from=made_from)
    drawn = draw(case.picture, told, explanation, annotated=asked.annotated)
    with whole_file(path.with_suffix(".png")) as beside:
        drawn.save(beside, "PNG")
    write_told(path, told)  # last: what has its numbers is finished


def _case(model: FederatedPatchcore, asked: Asked, data: bytes, normal: NormalPictures | None) -> ModelCase:
    picture = decode_image(data, str(asked.path))
    try:
        return ModelCase(model, picture, name=asked.name, category=asked.category, normal=normal)
    except ValueError as error:
        msg = f"The picture {asked.path} cannot be explained: {error}"
        raise ExplanationError(msg) from error


def _made_from(
    model: FederatedPatchcore,
    asked: Asked,
    data: bytes,
    spec: str | Mapping[str, Any],
    *,
    seed: int,
    normal: NormalPictures | None,
) -> dict[str, Any]:
    """All that decides an explanation, as plain data."""
    return {
        "picture": hashlib.sha256(data).hexdigest(),
        "annotated": None if asked.annotated is None else hashlib.sha256(asked.annotated.tobytes()).hexdigest(),
        "bank": model.bank.digest,
        "score": model.scorer.words,
        "thresholds": _thresholds(model, asked.category),
        "explainer": {"class_path": registry.name_of(spec), "init_args": registry.arguments_of(spec)},
        "seed": seed,
        "own_normal_pictures": None if normal is None else normal.digest,
        "version": __version__,
    }


def _thresholds(model: FederatedPatchcore, category: str) -> list[float] | None:
    found = getattr(model.post_processor, "thresholds", {}).get(category)
    return None if found is None else [found.image, found.pixel]


def _is_there(path: Path, made_from: Mapping[str, Any]) -> bool:
    """Whether an explanation was written from the same."""
    if not (path.is_file() and path.with_suffix(".png").is_file()):
        return False
    try:
        return read_told(path).made_from == made_from
    except ExplanationError as error:
        logger.warning("%s It is written anew.", error)
        return False


def method_of(spec: str | Mapping[str, Any]) -> str:
    """Name of an explainer, for files: of a class given by its path, the class's."""
    return registry.name_of(spec, kind="explainer").rpartition(".")[2]


def _check_names(pictures: Sequence[Asked]) -> None:
    taken: dict[tuple[str, str], Asked] = {}
    for each in pictures:
        other = taken.setdefault((each.category, each.stem), each)
        if other is not each:
            msg = f"{other.path} and {each.path} would both be written as {each.stem}; explain them one by one."
            raise ExplanationError(msg)
