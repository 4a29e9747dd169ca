"""The small federation, made once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from attacked_demo import demo_scene, make_demo

from anomalib_federated.evaluation.robustness.scene import Scene


@pytest.fixture(scope="session")
def attacked_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp("attacked") / "AutoVI")


@pytest.fixture(scope="session")
def scene(attacked_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    made = demo_scene(attacked_root, tmp_path_factory.mktemp("features"))
    yield made
    made.close()
