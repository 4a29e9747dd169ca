"""Settings out of a YAML file, as strict as the command line: nothing missing, nothing unknown."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace


class SettingsError(ValueError):
    """A settings file cannot be used; the message names the file and the field."""


def settings_parser() -> ArgumentParser:
    """A parser that raises where that of a command would end the process."""
    return ArgumentParser(exit_on_error=False)


def read_settings(path: Path, parser: ArgumentParser) -> Namespace:
    """Read a YAML file, and make the objects that it describes.

    Args:
        path: The file.
        parser: Knows its fields.

    Raises:
        SettingsError: If there is no such file.
        ArgumentError: If it is no YAML, or a field is missing, unknown or of another type.
    """
    if not path.is_file():
        msg = f"There is no settings file at {path}; name the YAML file."
        raise SettingsError(msg)
    return parser.instantiate_classes(parser.parse_path(str(path)))


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Whatever is wrong with settings becomes an error that names their file.

    Raises:
        SettingsError: If something is.
    """
    try:
        yield
    except SettingsError:
        raise
    except (ArgumentError, ValueError, TypeError, RuntimeError) as error:
        msg = f"The settings in {path} cannot be used: {error}"
        raise SettingsError(msg) from error
