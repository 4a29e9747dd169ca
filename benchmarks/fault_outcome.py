"""What a fault left of a federation, and whether that is what it must be.

The journal is read here without the package's own reader. What must be in it, the package computes anew: each site's
bank from its pictures, and the global bank from those.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from anomalib_federated.bank import MemoryBank
from anomalib_federated.bank.in_order import in_order
from anomalib_federated.federation.settings import FederationSettings, SiteSettings
from anomalib_federated.messages.agreement import Agreement

STARTING = 40.0
"""Seconds after its deadline by which a server app must be making the global bank: it has to start first."""


@dataclass(frozen=True, kw_only=True)
class Federation:
    """A federation, by its files.

    Attributes:
        settings: Its ``federation.yaml``.
        folder: Its folder at the centre.
        deadline: Seconds for which it collects.
    """

    settings: Path
    folder: Path
    deadline: float

    def events(self) -> list[dict[str, Any]]:
        """The whole lines of the journal."""
        journal = self.folder / "events.jsonl"
        return [json.loads(line) for line in journal.read_bytes().split(b"\n")[:-1]] if journal.exists() else []

    def of_site(self, site: str) -> list[str]:
        """What happened to a site, in order."""
        return [event["event"] for event in self.events() if event.get("site") == site]

    def refusals(self, site: str) -> list[dict[str, Any]]:
        """What was refused of a site, in order."""
        return [event for event in self.events() if (event["event"], event.get("site")) == ("refused", site)]

    def accepted(self) -> dict[str, str]:
        """Per site, the digest of the bank that was accepted last."""
        return {event["site"]: event["bank"]["digest"] for event in self.events() if event["event"] == "in"}

    def last_version(self) -> dict[str, Any]:
        """What is written beside the last version of the global bank; nothing if there is none."""
        versions = sorted((self.folder / "versions").glob("*/version.json"))
        return json.loads(versions[-1].read_text()) if versions else {}

    def aggregated(self) -> float | None:
        """When the last version of the global bank was begun, in seconds since 1970."""
        times = [event["time"] for event in self.events() if event["event"] == "aggregating"]
        return datetime.fromisoformat(times[-1]).timestamp() if times else None


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a fault.

    Attributes:
        fault: What went wrong.
        run: How Flower says that the last run ended.
        seconds: From its submission to the end of its server app.
        seconds_to_bank: From its submission until the global bank was being made; ``None``: it never was.
        deadline: Seconds for which it collects.
        events: Per site, what the journal says.
        told: Why, by ``anomalib-federated status`` or by the log of the node that was not let in.
        checks: What must hold, and whether it does.
    """

    fault: str
    run: str
    seconds: float
    seconds_to_bank: float | None
    deadline: float
    events: Mapping[str, str]
    told: str
    checks: Mapping[str, bool]

    @classmethod
    def of_halt(cls, fault: str, told: str) -> Outcome:
        """Of something that did not get to its end."""
        return cls(
            fault=fault, run="", seconds=0.0, seconds_to_bank=None, deadline=0.0, events={}, told=told,
            checks={"it came to an end": False},
        )  # fmt: skip

    def with_checks(self, more: Mapping[str, bool]) -> Outcome:
        """The same with further checks."""
        return replace(self, checks={**self.checks, **more})


def checks(federation: Federation, site_files: Mapping[str, Path], *, began: float, run: str) -> dict[str, bool]:
    """All that must hold whatever the fault was.

    Args:
        federation: What is left.
        site_files: Per site whose bank must be in, its ``site.yaml``.
        began: When the run was submitted, in seconds since 1970.
        run: How Flower says that it ended.
    """
    accepted, version, aggregated = federation.accepted(), federation.last_version(), federation.aggregated()
    stored = {file.stem: MemoryBank.load(file).digest for file in (federation.folder / "sites").iterdir()}
    agreement = (federation.folder / "agreement.json").read_text()
    own = {site: own_bank(file, agreement) for site, file in sorted(site_files.items())}
    merged = FederationSettings.read(federation.settings).make_strategy().merge(iter(own.values()))
    return {
        "the run completed": run == "finished:completed",
        "it did not wait longer than the deadline": aggregated is not None
        and aggregated - began <= federation.deadline + STARTING,
        "every accepted bank is on disk, and nothing else": stored == accepted,
        "each is what its site computes offline": accepted == {site: bank.digest for site, bank in own.items()},
        "they are what the global bank is made of": accepted
        == {site: bank["digest"] for site, bank in version.get("sites", {}).items()},
        "the global bank is that of an undisturbed federation": version.get("digest") == in_order(merged).digest,
    }


@cache
def own_bank(site_file: Path, agreement: str) -> MemoryBank:
    """The bank of a site by itself, from its pictures.

    Args:
        site_file: Its ``site.yaml``.
        agreement: The agreement as JSON.
    """
    agreed = Agreement.from_json(agreement, source="the federation's folder")
    site = replace(SiteSettings.read(site_file), store=None).make_site(agreed.space)
    try:
        return site.build_bank(agreed)
    finally:
        site.close()
