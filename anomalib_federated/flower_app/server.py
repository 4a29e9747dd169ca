"""The server app of a SuperLink: one federation, described by the ``federation.yaml`` that the run names."""

from __future__ import annotations

import logging

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from anomalib_federated.federation.settings import FederationSettings
from anomalib_federated.flower_app.course import take_course
from anomalib_federated.flower_app.logs import show_logs

logger = logging.getLogger(__name__)

CONFIG = "config"
"""Key of the run's configuration that names ``federation.yaml``."""

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the federation that the file describes."""
    show_logs()
    settings = FederationSettings.read(str(context.run_config[CONFIG]))
    version = take_course(grid, settings)
    logger.info("Version %d of the global bank is in %s.", version.number, settings.output)
