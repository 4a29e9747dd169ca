"""Which node may speak for which site.

A node says its site's name itself, so the name alone proves nothing. The rules, in this order:

1. A node that the operator registered under a name speaks for the site of that name, and for no other.
2. Where the plan names the sites, nobody speaks for another one. Who was removed from the folder does not come back.
3. A bank that is in is replaced only by the node that sent it, or, if that node is registered under no name, by the
   node that is registered under the site's. Anybody else is refused: otherwise any node could take a site's place.
4. Where the operator wants a new bank of a site, the node registered under its name may replace any, a file too.

Without names the first node that speaks for a site is believed; register the nodes by name to close that gap.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from anomalib_federated.bank import BankError
from anomalib_federated.bank.validation import check_name
from anomalib_federated.federation.folder import SiteStatus


class ClaimError(ValueError):
    """A node may not speak for this site; the message says why."""


class SiteClaims:
    """Keeps the rules.

    Args:
        expected: Names of the sites that may take part; empty for any.
        renew: Names of the sites of which a new bank is wanted.

    Example:
        >>> claims = SiteClaims(["plant-a", "plant-b"])
        >>> claims.check("plant-b", node=8, name="")
        >>> claims.check("plant-b", node=8, name="plant-a")
        Traceback (most recent call last):
        ...
        anomalib_federated.federation.site_claims.ClaimError: Node 8 is registered as 'plant-a', but speaks for site ...
    """

    def __init__(self, expected: Collection[str], *, renew: Collection[str] = ()) -> None:
        self._expected = frozenset(expected)
        self._due = set(renew)
        self._statuses: Mapping[str, SiteStatus] = {}
        self._holders: dict[int | None, str] = {}
        self._registered: set[tuple[str, int]] = set()

    @property
    def sites(self) -> tuple[str, ...]:
        """Names of the sites whose bank is in, sorted."""
        return tuple(sorted(site for site, status in self._statuses.items() if status.bank))

    @property
    def due(self) -> tuple[str, ...]:
        """Names of the sites whose bank is in, but of which a new one is wanted that has not come yet; sorted."""
        return tuple(sorted(self._due & set(self.sites)))

    def site_of(self, node: int) -> str:
        """The site whose bank this node sent; empty if it sent none that is in."""
        return self._holders.get(node, "")

    def update(self, statuses: Mapping[str, SiteStatus]) -> None:
        """Note where the sites stand in the federation's folder."""
        self._statuses = statuses
        self._holders = {status.node: site for site, status in statuses.items() if status.bank}

    def check_registered(self, name: str) -> None:
        """Refuse a node by its registered name, before it is asked anything.

        Raises:
            ClaimError: If no site that takes part can have this name.
        """
        try:
            check_name("site", name)
        except BankError as error:
            msg = f"It is registered under a name that no site can have ({error}); register it under its site's."
            raise ClaimError(msg) from error
        self._check_part(name)

    def settled(self, *, node: int, name: str) -> bool:
        """Whether there is nothing to ask this node for: its bank is in, or its site's came as a file."""
        site = name or self._holders.get(node, "")
        status = self._statuses.get(site)
        return site not in self._due and status is not None and bool(status.bank) and status.node in {node, None}

    def check(self, site: str, *, node: int, name: str) -> None:
        """Refuse a node that speaks for a site which is not its own.

        Args:
            site: Name of the site for which it speaks.
            node: Id of the node.
            name: Name under which the node is registered; empty if under none.

        Raises:
            ClaimError: If it may not.
        """
        if name and site != name:
            msg = (
                f"Node {node} is registered as {name[:200]!a}, but speaks for site '{site}'; set its site's name right."
            )
            raise ClaimError(msg)
        self._check_part(site)
        status = self._statuses.get(site)
        if status is None or status.bank is None or status.node == node:
            return
        if name and site in self._due:
            return
        if name and status.node is not None and (site, status.node) not in self._registered:
            return
        origin = "as a file" if status.node is None else f"from node {status.node}"
        msg = (
            f"Node {node} speaks for site '{site}', whose bank is in already {origin}; it is kept. To replace it, "
            "register the node under its site's name, or add the new bank's file with 'anomalib-federated bank add'."
        )
        raise ClaimError(msg)

    def grant(self, site: str, *, node: int, name: str) -> None:
        """Note that a node's claim was checked and its bank taken in."""
        self._due.discard(site)
        if name:
            self._registered.add((site, node))

    def _check_part(self, site: str) -> None:
        if self._expected and site not in self._expected:
            msg = f"Site '{site}' is not one of those expected: {', '.join(sorted(self._expected))}."
            raise ClaimError(msg)
        if site in self._statuses and self._statuses[site].state == "removed":
            msg = f"Site '{site}' was removed; to have it back, add its file with 'anomalib-federated bank add'."
            raise ClaimError(msg)
