"""Rounds of noisy sums in messages: what everybody knows on the way down, a sum of vectors on the way up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from flwr.app import ConfigRecord, RecordDict

from anomalib_federated.bank import BankError
from anomalib_federated.bank.file import encode, read_header, read_tensors
from anomalib_federated.bank.validation import MAX_NAMES, check_name
from anomalib_federated.messages.bank_pieces import CATEGORY, DATA
from anomalib_federated.messages.records import MessageError
from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.report import PrivacyReport, PrivacyReportError
from anomalib_federated.privacy.state import MAX_STATE_NUMBERS, State, check_state
from anomalib_federated.privacy.sums import check_sum
from anomalib_federated.untrusted import said, shown

SUMS = "train.sums"
"""Type of the message that asks for the sums of a round."""
ROUND = "round"
"""Field of its configuration: the number of the round, from 1."""
EVERY = ""
"""In place of a category's name: what is known in the first round, the same of all categories."""
STATE, SUM, PRIVACY = "state.", "sum.", "privacy"
"""Beginnings of the names of records with a state, or a sum; and the record with the report."""
MOST_BYTES = 4 * MAX_STATE_NUMBERS + (1 << 16)
"""Of a state as it travels."""
_REPORT = "report"
_NUMBER = np.dtype("<i8")
_KIND = "state of rounds"


def state_records(states: Mapping[str, State]) -> dict[str, ConfigRecord]:
    """The records that carry what is known, by name.

    Args:
        states: Per category, or of :data:`EVERY` one.

    Example:
        >>> import torch
        >>> content = RecordDict(state_records({"screw": {"mean": torch.zeros(3)}}))
        >>> states_in(content, source="here")["screw"]["mean"].tolist()
        [0.0, 0.0, 0.0]
    """
    return _records(STATE, {category: encode(state, {"kind": _KIND}) for category, state in states.items()})


def states_in(content: RecordDict, *, source: str) -> dict[str, State]:
    """Read and check what a message says is known.

    Args:
        content: What carries :func:`state_records`; not trusted.
        source: Who sent it, for error messages.

    Raises:
        MessageError: If there is none, or one is not valid.
    """
    found: dict[str, State] = {}
    for category, data in _items(content, STATE, source=source):
        if category != EVERY:
            _check_category(category, source=source)
        try:
            read_header(data, max_bytes=MOST_BYTES)
            state = read_tensors(data)
            check_state(state)
        except (ValueError, TypeError, KeyError) as error:
            msg = f"What {source} says is known of category {shown(category)} cannot be used: {said(str(error))}"
            raise MessageError(msg) from error
        found[category] = state
    return found


def sum_records(sums: Mapping[str, Integers], report: PrivacyReport) -> dict[str, ConfigRecord]:
    """The records that carry a site's sums and its promise, by name.

    Args:
        sums: Per category, shape ``(dimensions,)``, int64.
        report: What is promised about the site's pictures over all rounds.
    """
    told = {PRIVACY: ConfigRecord({_REPORT: report.to_json()})}
    return told | _records(SUM, {category: total.astype(_NUMBER).tobytes() for category, total in sums.items()})


def sums_in(content: RecordDict, dimensions: Callable[[str], int | None], *, source: str) -> dict[str, Integers]:
    """Read and check the sums in a message.

    Args:
        content: What carries :func:`sum_records`; not trusted.
        dimensions: How many numbers the sum of a category has; ``None`` if nobody was asked for it.
        source: Who sent it, for error messages.

    Raises:
        MessageError: If there is none, one is not of a category that was asked for, or is no such sum.
    """
    found: dict[str, Integers] = {}
    for category, data in _items(content, SUM, source=source):
        _check_category(category, source=source)
        wanted = dimensions(category)
        if wanted is None or len(data) != wanted * _NUMBER.itemsize:
            asked = "which nobody asked for" if wanted is None else f"not the {wanted * _NUMBER.itemsize} asked for"
            msg = f"The sum of category {shown(category)} from {source} has {len(data)} bytes, {asked}."
            raise MessageError(msg)
        try:
            total = np.frombuffer(data, _NUMBER).astype(np.int64)
            found[category] = check_sum(total, dimensions=wanted, source=source)
        except ValueError as error:
            raise MessageError(str(error)) from error
    return found


def report_in(content: RecordDict, *, source: str) -> PrivacyReport:
    """Read and check the promise that came with a site's sums.

    Raises:
        MessageError: If there is none, or it is not valid.
    """
    record = content.get(PRIVACY)
    given = record.get(_REPORT) if isinstance(record, ConfigRecord) else None
    if not isinstance(given, str):
        msg = f"The message from {source} has no privacy report."
        raise MessageError(msg)
    try:
        return PrivacyReport.from_json(given, source=source)
    except PrivacyReportError as error:
        raise MessageError(str(error)) from error


def _records(prefix: str, data: Mapping[str, bytes]) -> dict[str, ConfigRecord]:
    return {
        f"{prefix}{number:04d}": ConfigRecord({CATEGORY: category, DATA: data[category]})
        for number, category in enumerate(sorted(data))
    }


def _items(content: RecordDict, prefix: str, *, source: str) -> Iterator[tuple[str, bytes]]:
    """Names of categories and their bytes, none twice, at least one, no more than a federation has."""
    records = {name: record for name, record in content.items() if name.startswith(prefix)}
    if not 0 < len(records) <= MAX_NAMES["categories"]:
        msg = f"The message from {source} has {len(records)} records named {prefix}*; send 1 to a few hundred."
        raise MessageError(msg)
    seen: set[str] = set()
    for name, record in sorted(records.items()):
        fields = dict(record) if isinstance(record, ConfigRecord) else {}
        category, data = fields.get(CATEGORY), fields.get(DATA)
        if not isinstance(category, str) or not isinstance(data, bytes) or len(fields) != 2 or category in seen:
            msg = f"In the message from {source}, {shown(name)} must name a category, each once, and hold bytes."
            raise MessageError(msg)
        seen.add(category)
        yield category, data


def _check_category(category: str, *, source: str) -> None:
    try:
        check_name("category", category)
    except BankError as error:
        msg = f"The message from {source} names an impossible category: {error}"
        raise MessageError(msg) from error
