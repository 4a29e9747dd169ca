"""A centre and two plants in one process, set up by the files of a deployment."""

from pathlib import Path

import pytest
import yaml
from deployed import PLANTS, SIDE
from flwr.app import Context, RecordDict
from flwr.common.constant import SUPERLINK_NODE_ID

from anomalib_federated.federation import InProcessGrid
from anomalib_federated.federation.folder import FederationFolder
from anomalib_federated.flower_app import client, server

CONFIGS = Path(__file__).parents[2] / "configs" / "deployment"


@pytest.fixture
def write_site(demo_root, tmp_path):
    """``write_site("plant-a", quotas={...})`` writes the settings of a site, and gives the file."""

    def write(name, **changed):
        config = yaml.safe_load((CONFIGS / "site.yaml").read_text())
        config |= {"site": name, "store": str(tmp_path / name / "features"), "least_pictures": 1}
        config["data"]["init_args"] |= {"root": str(demo_root), "categories": [PLANTS[name]]}
        return write_yaml(tmp_path / name / "site.yaml", config | changed)

    return write


@pytest.fixture
def write_federation(tmp_path):
    """``write_federation(strategy=...)`` writes the settings of the centre, and gives the file."""

    def write(**changed):
        config = yaml.safe_load((CONFIGS / "federation.yaml").read_text())
        config |= {"sites": list(PLANTS), "quorum": None, "deadline": 30.0, "backoff": 0.01, "poll": 0.01}
        config |= {"attempts": 2, "output": str(tmp_path / "centre" / "folder")}
        config["model"]["init_args"] |= {"image_size": [SIDE, SIDE], "budget": 60}
        config["strategy"]["init_args"]["budget"] = 50
        return write_yaml(tmp_path / "centre" / "federation.yaml", config | changed)

    return write


@pytest.fixture
def make_grid():
    """``make_grid(path, path)`` reaches one node per ``site.yaml``, each running the app that is shipped."""

    def make(*paths):
        return InProcessGrid(client.app, {number: {"config": str(path)} for number, path in enumerate(paths, start=1)})

    return make


@pytest.fixture
def federate(write_site, write_federation):
    """``federate("plant-a", strategy=...)`` runs the server app with these plants online, and gives the folder.

    ``grid`` makes another grid than one that always works.
    """

    def run(*plants, grid=InProcessGrid, **changed):
        path = write_federation(**changed)
        context = Context(1, SUPERLINK_NODE_ID, node_config={}, state=RecordDict(), run_config={"config": str(path)})
        configs = {number: {"config": str(write_site(name))} for number, name in enumerate(PLANTS, 1) if name in plants}
        server.app(grid(client.app, configs), context)
        return FederationFolder.open(path.with_name("folder"))

    return run


def write_yaml(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values))
    return path
