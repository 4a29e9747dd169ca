"""Bytes between the server and its sites, per site and category.

Counted is what a message holds of a category: the bytes of its bank (those of its file), and those of each other value
as Flower packs it (a covering radius, how many patches each row stands for, a figure). Not counted is what belongs to
no category (the agreement and the site's name: less than 2 kB a message), nor what the transport adds (HTTP, TLS).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from flwr.app import MetricRecord, RecordDict

from anomalib_federated.messages.bank_pieces import bytes_by_category


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """Bytes between the server and one site, of one category.

    Attributes:
        up: From the site to the server.
        down: From the server to the site.

    Example:
        >>> Traffic(up=2) + Traffic(up=3, down=4)
        Traffic(up=5, down=4)
    """

    up: int = 0
    down: int = 0

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(up=self.up + other.up, down=self.down + other.down)


TrafficBySite: TypeAlias = dict[str, dict[str, Traffic]]
"""Per site and category."""


def of_exchange(question: RecordDict, answer: RecordDict, categories: Collection[str]) -> dict[str, Traffic]:
    """What one question and its answer cost, per category.

    Args:
        question: Content of the server's message.
        answer: Content of the site's reply.
        categories: Those to count: names that were checked before.
    """
    up, down = _by_category(answer), _by_category(question)
    return {name: Traffic(up=up[name], down=down[name]) for name in sorted(categories)}


def add(total: TrafficBySite, site: str, more: Mapping[str, Traffic]) -> None:
    """Add what an exchange with a site cost; sites stay in the order of their names."""
    own = total.pop(site, {})
    total[site] = own | {name: own.get(name, Traffic()) + each for name, each in more.items()}
    for name in sorted(total):
        total[name] = total.pop(name)


def _by_category(content: RecordDict) -> Counter[str]:
    counts = Counter(bytes_by_category(content))
    for record in content.metric_records.values():
        counts.update({name: len(MetricRecord({name: value}).deflate()) for name, value in record.items()})
    return counts
