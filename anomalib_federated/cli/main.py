"""The command ``anomalib-federated``.

Each command is imported when it is called: ``inspect`` runs where no training stack is installed, and ``plugins`` does
not wait for torch.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from anomalib_federated import __version__

COMMANDS = {
    "demo": ("demo", "generate data, train centralised and federated, export, inspect a picture"),
    "federate": ("federate", "run a federation of several sites in this process, and score it"),
    "agreement": ("agreement", "write what a deployed federation asks its sites for into a file"),
    "app": ("app", "print where the Flower app lies, for 'flwr run'"),
    "experiment": ("experiment", "compare methods on categories and seeds, out of one YAML; resumable"),
    "attack": ("attack", "try attacks of bad sites against defences: for evaluation only"),
    "evaluate": ("evaluate", "measure a bank, a checkpoint or a folder of anomaly maps by the AutoVI protocol"),
    "explain": ("explain", "say why pictures got their scores, as pictures and as numbers"),
    "compare": ("compare", "compare methods with statistics that say what they can show"),
    "report": ("report", "make one HTML page of an experiment"),
    "data": ("data", "download, count, share out or generate images"),
    "fit": ("anomalib", "train a model, as anomalib does"),
    "validate": ("anomalib", "set a model's thresholds on validation pictures"),
    "test": ("anomalib", "score a model on test pictures"),
    "train": ("anomalib", "fit, then test"),
    "predict": ("anomalib", "run a model on pictures"),
    "export": ("export", "write the bundle that a station runs, from a bank; or export a checkpoint"),
    "inspect": ("inspect", "give verdicts on pictures with an exported model (needs no torch)"),
    "calibrate": ("calibrate", "set the thresholds of a station from its own good pictures (needs no torch)"),
    "bench": ("bench", "time an exported model on this machine (needs no torch)"),
    "bank": ("bank", "look at memory banks, aggregate them, add images to one, forget a site"),
    "privacy": ("privacy", "plan what a promise costs, audit whether a plugin keeps it"),
    "status": ("status", "tell which sites are in a deployed federation, which are not, and why"),
    "plugins": ("plugins", "list the installed plugins"),
}
"""Per command, the module beside this one whose ``run(command, arguments)`` does it, and what it does."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Command and its arguments; those of the process if not given.

    Returns:
        Exit status: 0 if all went well, 1 if the command failed, 2 if it was called wrongly.
    """
    command, *rest = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if command not in COMMANDS:
        _parser().parse_args([command, *rest])
        return 2
    # anomalib and timm warn of each other's deprecated names on import; users can mend neither.
    warnings.filterwarnings("ignore", category=FutureWarning)
    try:
        module = import_module(f"anomalib_federated.cli.{COMMANDS[command][0]}")
        status: int = module.run(command, rest)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing in {"", "anomalib_federated", *sys.stdlib_module_names}:
            raise
        sys.stderr.write(
            f"anomalib-federated {command}: '{missing}' is not installed, which only inspection stations do without; "
            "run pip install 'anomalib-federated[train]'.\n"
        )
        return 1
    except (ValueError, RuntimeError, OSError) as error:
        sys.stderr.write(f"anomalib-federated {command}: {error}\n")
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="anomalib-federated",
        description="Federated visual inspection: PatchCore across several plants, whose images never leave them.",
        epilog="'anomalib-federated COMMAND --help' says more about a command.",
    )
    parser.add_argument("--version", action="version", version=f"anomalib-federated {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (_, description) in COMMANDS.items():
        commands.add_parser(name, help=description)
    return parser


if __name__ == "__main__":
    sys.exit(main())
