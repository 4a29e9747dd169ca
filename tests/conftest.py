"""What several test files share."""

from __future__ import annotations

import faulthandler
from pathlib import Path

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key
from hypothesis import settings

from anomalib_federated.data.demo import make_demo_dataset

# The same code gives the same verdict twice; to search anew, run
# .venv/bin/pytest --hypothesis-profile=search
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("repeatable")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Tell where a segmentation fault is: a trainer of Lightning that ends takes pytest's handler of it away."""
    faulthandler.disable()
    faulthandler.enable(file=item.config.stash[fault_handler_stderr_fd_key])


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
