"""What was promised about the pictures of each site of a bank, and the form in which it is stored and sent."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from anomalib_federated.bank.validation import refuse
from anomalib_federated.privacy import PrivacyReport
from anomalib_federated.privacy.report import MAX_TEXT
from anomalib_federated.untrusted import shown

if TYPE_CHECKING:
    from anomalib_federated.bank.memory_bank import MemoryBank


def check_privacy(privacy: Mapping[str, PrivacyReport], sites: Sequence[str]) -> None:
    """Refuse reports of sites that are not there, and what is no report or one too long to be read again.

    Raises:
        BankError: As said above.
    """
    known = set(sites)
    for site, report in privacy.items():
        if site not in known:
            refuse(f"it tells what was promised about site {shown(site)}, which it does not hold")
        if not isinstance(report, PrivacyReport):
            refuse(f"what was promised about site '{site}' is {shown(report)}, no privacy report")
    for report in dict.fromkeys(privacy.values()):
        if (length := len(report.to_json())) > MAX_TEXT:
            refuse(f"a privacy report of {length} characters is longer than the {MAX_TEXT} accepted")


def union_of_privacy(banks: Iterable[MemoryBank]) -> dict[str, PrivacyReport]:
    """What was promised about the sites of several banks.

    Raises:
        BankError: If two of them hold the same site, and not the same was promised about it.
    """
    found: dict[str, PrivacyReport | None] = {}
    for bank in banks:
        for site in bank.sites:
            report = bank.privacy.get(site)
            if found.setdefault(site, report) != report:
                refuse(
                    f"two banks of site '{site}' come with different promises about its pictures; have the site send "
                    "all its rows under one"
                )
    return {site: report for site, report in found.items() if report is not None}


def by_report(bank: MemoryBank) -> list[tuple[PrivacyReport | None, tuple[str, ...]]]:
    """Sites about which the same was promised, in the order of the bank's sites; ``None``: nothing was.

    Example:
        >>> from anomalib_federated.testing import example_bank
        >>> by_report(example_bank(site="plant-a"))
        [(None, ('plant-a',))]
    """
    groups: dict[PrivacyReport | None, list[str]] = {}
    for site in bank.sites:
        groups.setdefault(bank.privacy.get(site), []).append(site)
    return [(report, tuple(sites)) for report, sites in groups.items()]


def privacy_as_json(bank: MemoryBank) -> list[dict[str, Any]]:
    """Each different report once, with its sites, as JSON values."""
    return [
        {"sites": sites, "report": json.loads(report.to_json())}
        for report, sites in by_report(bank)
        if report is not None
    ]


def privacy_from_json(groups: Sequence[Any]) -> dict[str, PrivacyReport]:
    """What :func:`privacy_as_json` wrote; not trusted.

    Raises:
        TypeError: If a group is not a report and a list of sites.
        ValueError: If a report is not valid, or a site has two.
    """
    found: dict[str, PrivacyReport] = {}
    for group in groups:
        fields = isinstance(group, dict) and set(group) == {"sites", "report"}
        if not fields or not isinstance(group["sites"], list):
            msg = f"what it promises is {shown(group)}, not a report and its sites"
            raise TypeError(msg)
        text = json.dumps(group["report"], ensure_ascii=False)
        report = PrivacyReport.from_json(text, source=f"sites {shown(group['sites'])}")
        for site in group["sites"]:
            if site in found:
                msg = f"there are two promises about site {shown(site)}"
                raise ValueError(msg)
            found[site] = report
    return found
