"""What several test files share."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomalib_federated.data.demo import make_demo_dataset


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two drawn categories whose pictures differ in size; shared, so never write into it."""
    return make_demo_dataset(
        tmp_path_factory.mktemp("demo") / "AutoVI",
        categories=["pipe_staple", "tank_screw"],
        scale=0.32,
        train_images=8,
        good_images=3,
        images_per_defect=2,
    )
