"""``fit | validate | test | train | predict | export``: anomalib's own command line, ``--memory``, and two mends.

anomalib 2.7 parses ``seed_everything`` and never uses it; here it seeds Python, NumPy and torch before anything is
built. And its exports to OpenVINO and ONNX go by a graph that scores differently (another antialiasing, or none); here
ours is written, into a bundle.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from anomalib.cli import AnomalibCLI
from anomalib.deploy import ExportType
from jsonargparse import ArgumentParser
from lightning import seed_everything

from anomalib_federated.cli.command_help import CommandHelp
from anomalib_federated.cli.logs import configure_logs
from anomalib_federated.cli.memory_option import expand_memory
from anomalib_federated.deploy.export import ExportSettings, RuntimeName, export_bundle
from anomalib_federated.models import FederatedPatchcore

COMMANDS = {
    "fit": "Train a model.",
    "validate": "Set a model's thresholds on validation pictures.",
    "test": "Score a model on test pictures.",
    "train": "Train a model, then score it on test pictures.",
    "predict": "Run a model on pictures.",
    "export": "Export a checkpoint.",
}
DESCRIPTION = (
    "{does} Everything is as in anomalib, whose other models work too. '--memory 4GB' is short for "
    "'--model.memory 4GB'. Settings of Lightning's trainer follow one by one, as --trainer.accelerator cpu; "
    "--print_config prints all."
)
EPILOG = """example:

  anomalib-federated {name} --config configs/centralised/autovi.yaml \\
      --data.root DIR --data.categories '[tank_screw]'"""

EXPORTED: dict[ExportType, RuntimeName] = {ExportType.OPENVINO: "openvino", ExportType.ONNX: "onnx"}
"""Exports that are ours."""


def run(command: str, arguments: Sequence[str]) -> int:
    """Run one of anomalib's commands."""
    configure_logs()
    FederatedCLI(args=[command, *expand_memory(arguments)])
    return 0


def build_parser(command: str) -> ArgumentParser:
    """The options of one of anomalib's commands."""
    cli = FederatedCLI.__new__(FederatedCLI)  # to make one is to run a command
    cli.subcommand_parsers, cli.subcommand_method_arguments, cli.parser = {}, {}, cli.init_parser()
    cli.add_subcommands()
    return cli.subcommand_parsers[command]


class FederatedCLI(AnomalibCLI):
    """anomalib's command line with working seeds and our exports."""

    @staticmethod
    def init_parser(**kwargs: Any) -> ArgumentParser:  # noqa: ANN401 - passed through
        """Name the command in help texts, and write them as those of the other commands."""
        parser = AnomalibCLI.init_parser(prog="anomalib-federated", **kwargs)
        parser.formatter_class = CommandHelp
        return parser

    def add_subcommands(self, **kwargs: Any) -> None:  # noqa: ANN401 - passed through
        """Say in help texts how a command is called."""
        super().add_subcommands(**kwargs)
        for name, parser in self.subcommand_parsers.items():
            if name in COMMANDS:
                parser.prog = f"anomalib-federated {name}"
                for group in {"model", "data"} & parser.groups.keys():
                    parser.groups[group].title = group
                parser.description, parser.epilog = DESCRIPTION.format(does=COMMANDS[name]), EPILOG.format(name=name)

    @staticmethod
    def _add_default_arguments_to_parser(parser: ArgumentParser) -> None:
        parser.add_argument(
            "--seed_everything",
            type=bool | int,
            default=0,
            help="Seed of all random choices; true draws one, false sets none.",
        )

    def before_instantiate_classes(self) -> None:
        """Seed, then do what anomalib does."""
        seed = self._get(self.config, "seed_everything")
        if seed is not False:
            seed_everything(None if seed is True else seed, verbose=False)
        super().before_instantiate_classes()

    def _run_subcommand(self) -> None:
        if self.subcommand == "export" and isinstance(self.model, FederatedPatchcore):
            settings = self._prepare_subcommand_kwargs("export")
            if (kind := ExportType(settings["export_type"])) in EXPORTED:
                self._export_bundle(self.model, kind, settings)
                return
        super()._run_subcommand()

    def _export_bundle(self, model: FederatedPatchcore, kind: ExportType, settings: dict[str, Any]) -> None:
        # A setting that changed nothing would be taken for one that did.
        if ignored := sorted(name for name in ("compression_type", "ov_kwargs") if settings.get(name)):
            msg = (
                f"The export of this detector knows no {', '.join(ignored)}; leave it out. "
                "'anomalib-federated export --bank' has other precisions."
            )
            raise ValueError(msg)
        if settings.get("ckpt_path"):
            model = type(model).load_from_checkpoint(Path(settings["ckpt_path"]))
        root = Path(settings.get("export_root") or self._get(self.config_init, "default_root_dir"))
        size = settings.get("input_size")
        export_bundle(
            model,
            root / "weights" / kind.value,
            settings=ExportSettings(runtime=EXPORTED[kind], input_size=None if size is None else tuple(size)),
        )
