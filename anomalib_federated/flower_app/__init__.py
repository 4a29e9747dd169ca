"""The Flower app of a deployment, for ``flwr run $(anomalib-federated app)`` under SuperLink and SuperNodes."""

import warnings
from pathlib import Path

FOLDER = Path(__file__).parent / "app"
"""What ``flwr run`` is given: the folder of the app's ``pyproject.toml``."""

# anomalib and timm warn of each other's deprecated names on import; operators can mend neither.
warnings.filterwarnings("ignore", category=FutureWarning)
