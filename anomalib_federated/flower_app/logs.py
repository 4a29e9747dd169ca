"""What the apps say in the logs of their machine."""

import logging


def show_logs() -> None:
    """Write this package's messages to standard error, which Flower forwards to the log of the node or of the run."""
    logger = logging.getLogger("anomalib_federated")
    logger.setLevel(logging.INFO)
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(name)s: %(message)s"))
        logger.addHandler(handler)
