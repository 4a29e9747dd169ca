"""What commands say while they work."""

from __future__ import annotations

import logging
import warnings

from rich.console import Console
from rich.logging import RichHandler


def configure_logs() -> None:
    """Show this package's messages on standard error, and of other packages only warnings."""
    handler = RichHandler(console=Console(stderr=True), show_path=False, show_level=False, log_time_format="[%X]")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler], force=True)
    logging.getLogger("anomalib_federated").setLevel(logging.INFO)
    for noisy in ("flwr", "lightning", "lightning.pytorch", "anomalib"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=UserWarning)
