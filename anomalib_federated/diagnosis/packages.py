"""Versions: Python, this package, and what its extras require."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version

from anomalib_federated.diagnosis.check import Check, Role

DISTRIBUTION = "anomalib-federated"
NEEDED: Mapping[Role, tuple[str, ...]] = {"station": ("",), "training": ("", "train")}
"""Per role, the extras without which it cannot do; the empty one is the package alone."""
REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)(?:\[[^]]*\])?(?P<bounds>[^;]*)(?:;\s*extra == ['\"](?P<extra>[\w-]+)['\"])?"
)


@dataclass(frozen=True)
class Requirement:
    """A package that an extra requires.

    Attributes:
        name: Name of the distribution.
        least: Lowest version that is required, such as ``2.0``; empty if any will do.
        extra: Extra that requires it; empty for the package alone.
    """

    name: str
    least: str
    extra: str

    @classmethod
    def of(cls, text: str) -> Requirement:
        """Read a requirement as metadata write it.

        Raises:
            ValueError: If it is none.

        Example:
            >>> Requirement.of('anomalib<2.8,>=2.7; extra == "train"')
            Requirement(name='anomalib', least='2.7', extra='train')
        """
        if not (match := REQUIREMENT.fullmatch(text.strip())):
            msg = f"The metadata of {DISTRIBUTION} hold no requirement but {text!r}; install it again."
            raise ValueError(msg)
        least = re.search(r">=\s*([\w.]+)", match["bounds"])
        return cls(match["name"], least[1] if least else "", match["extra"] or "")


def check_packages(role: Role) -> Iterator[Check]:
    """Versions, one check per extra; what the role needs and is not there is a problem.

    Args:
        role: What the machine is for.
    """
    yield Check(topic="versions", name="python", found=f"{platform.python_version()} on {platform.platform()}")
    yield Check(topic="versions", name=DISTRIBUTION, found=version(DISTRIBUTION))
    required = [Requirement.of(text) for text in requires(DISTRIBUTION) or []]
    told = {DISTRIBUTION}  # an extra may bring another one, whose packages are told only once
    for extra in dict.fromkeys(["", "train", *(each.extra for each in required)]):
        own = [each for each in required if each.extra == extra and each.name not in told]
        told |= {each.name for each in own}
        if own:
            yield _check_extra(extra, own, needed=extra in NEEDED[role])


def is_older(found: str, least: str) -> bool:
    """Whether a version is below another, by the numbers in it.

    Example:
        >>> is_older("1.26.4", "2.0"), is_older("2.10", "2.9.1"), is_older("2.0.0", "2.0")
        (True, False, False)
    """
    lengths = max(len(_numbers(found)), len(_numbers(least)))
    padded = [(*_numbers(each), *(0,) * lengths)[:lengths] for each in (found, least)]
    return padded[0] < padded[1]


def _check_extra(extra: str, required: Sequence[Requirement], *, needed: bool) -> Check:
    there, wrong = [], []
    for each in required:
        found = installed_version(each.name)
        if found is None:
            wrong.append(f"{each.name} is not installed")
        elif each.least and is_older(found, each.least):
            wrong.append(f"{each.name} is {found}, which is older than {each.least}")
        else:
            there.append(f"{each.name} {found}")
    name = f"[{extra}]" if extra else "the package alone"
    install = f"pip install '{DISTRIBUTION}{f'[{extra}]' if extra else ''}'"
    found = ", ".join(there) or "nothing of it"
    if not wrong:
        return Check(topic="versions", name=name, found=found)
    if needed:
        return Check(topic="versions", name=name, found=found, problem=", ".join(wrong), mend=install)
    absent = f"{len(wrong)} of its {len(required)} packages are not there, or too old"
    return Check(topic="versions", name=name, found=f"{found} ({absent}; to get them: {install})")


def installed_version(name: str) -> str | None:
    """The version of an installed distribution; ``None`` if it is not there.

    Example:
        >>> installed_version("no-such-distribution") is None
        True
    """
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _numbers(text: str) -> tuple[int, ...]:
    public = re.match(r"[\d.]+", text)  # without what follows the numbers, as in 2.0+cpu or 2.0rc1
    return tuple(int(part) for part in public[0].split(".") if part) if public else ()
