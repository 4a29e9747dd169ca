"""Privacy: what leaves a site in place of its memory bank, and the promise that comes with it.

There are two kinds. A :class:`BankPrivacy` turns a site's bank into the bank that is sent, in one step. A
:class:`SumPrivacy` never makes a site's bank at all: in several rounds, every picture gives one vector, the vectors of
all pictures of all sites are added up with noise, and a global bank is computed from the sums. Which of the two a
plugin is decides which strategies can drive it.

What a promise needs is done here and in :mod:`anomalib_federated.privacy`, so that a plugin cannot get it wrong:
clipping, rounding, noise from a secure source, accounting, and the ledger of what was given away.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from anomalib_federated.bank import FeatureSpace, MemoryBank
from anomalib_federated.privacy.discrete_gaussian import Integers
from anomalib_federated.privacy.gaussian import composed, epsilon_of, mu_of, noise_multipliers
from anomalib_federated.privacy.learnt import Learnt
from anomalib_federated.privacy.noise import Noise
from anomalib_federated.privacy.noise_grid import NoiseGrid, Vectors
from anomalib_federated.privacy.report import PrivacyReport
from anomalib_federated.privacy.state import State, check_state
from anomalib_federated.privacy.sums import NoiseAdders, clipped_sum


class Privacy(ABC):
    """What :class:`BankPrivacy` and :class:`SumPrivacy` have in common: a name for the record.

    Attributes:
        name: Name of the plugin, that of its entry point.
    """

    name: ClassVar[str]


@dataclass(frozen=True, eq=False, kw_only=True)
class SiteRows:
    """A site's bank before it is sent, and what else decides what may be promised about it.

    Attributes:
        bank: Of one site.
        units: Shape ``(n,)``, int64: the picture (or part) that each row is of, by a number of its own.
        unit: Whether these numbers tell ``picture`` or ``part``.
        chosen_blindly: Whether the rows were chosen without looking at any feature: by a draw that depends on the
            number of pictures and patches alone.

    Raises:
        ValueError: If the bank is not of one site, or the units are not as many as its rows.
    """

    bank: MemoryBank
    units: Tensor
    unit: Literal["picture", "part"] = "picture"
    chosen_blindly: bool = False

    def __post_init__(self) -> None:
        if len(self.bank.sites) != 1:
            msg = f"A privacy plugin needs the bank of one site, got one of {', '.join(self.bank.sites)}."
            raise ValueError(msg)
        if self.units.shape != (len(self.bank),) or self.units.dtype != torch.int64:
            msg = f"units must be ({len(self.bank)},) int64, got {tuple(self.units.shape)} {self.units.dtype}."
            raise ValueError(msg)


class BankPrivacy(Privacy):
    """Turns a site's bank into the one that is sent."""

    @abstractmethod
    def report(self, rows: SiteRows) -> PrivacyReport:
        """What is promised if these rows are protected; asked for before :meth:`protect`, so that it can be refused.

        Args:
            rows: The site's rows. Nothing in the report may depend on their features.

        Raises:
            ValueError: If the plugin cannot do with such rows what its settings ask for; the error says why.
        """

    @abstractmethod
    def protect(self, rows: SiteRows, *, noise: Noise) -> MemoryBank:
        """Make the bank that is sent.

        Args:
            rows: The site's rows; not to be changed.
            noise: The only source of chance.

        Returns:
            A bank of the same site, feature space and type of features. Whatever is in it beside the rows (weights,
            radii, counts) is sent too, so the report must cover it or name it in ``exposes``.
        """


class SumPrivacy(Privacy):
    """Learns from noisy sums of one vector per picture, in rounds.

    A plugin writes four pure functions: :meth:`start`, :meth:`contribution`, :meth:`learn` and :meth:`finish`, and says
    in :attr:`shares` how many rounds there are. The same picture gives away as much in all rounds together as
    ``epsilon`` and ``delta`` say, whatever the functions compute, since each is given one picture and what is public.

    Args:
        epsilon: The promise, over all rounds, per picture (or part) added or removed.
        delta: Chance that it does not hold; well below 1 / number of pictures.
        noise_by: Who adds the noise, see :class:`anomalib_federated.privacy.sums.NoiseAdders`.
        honest_sites: How many sites surely add their part, with ``honest_sites``.

    Attributes:
        shares: Each round's share of the precision: positive, with sum 1.
        clip: Longest length of a picture's vector; longer ones are shortened.
        public: Where the public material comes from: packages, generated textures, folders declared public.

    Raises:
        ValueError: If an argument is impossible.
    """

    shares: tuple[float, ...]
    clip: float = 1.0
    public: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        epsilon: float = 2.0,
        delta: float = 1e-5,
        noise_by: Literal["centre", "each_site", "honest_sites"] = "each_site",
        honest_sites: int = 1,
    ) -> None:
        self.epsilon, self.delta = float(epsilon), float(delta)
        self.adders = NoiseAdders(noise_by=noise_by, honest_sites=honest_sites)
        self._mu = mu_of(self.epsilon, self.delta)

    @abstractmethod
    def start(self, space: FeatureSpace) -> State:
        """What is known before the first round: from public material alone.

        Args:
            space: Feature space of the federation.
        """

    @abstractmethod
    def dimensions(self, state: State) -> int:
        """How many numbers the vector of every picture has in the next round."""

    @abstractmethod
    def contribution(self, patches: Tensor, state: State) -> Tensor:
        """The vector of one picture.

        Args:
            patches: Patch features of the picture, shape ``(rows, columns, d)``, float32; not to be changed.
            state: What everybody knows.

        Returns:
            Shape ``(self.dimensions(state),)``. Vectors longer than :attr:`clip` are shortened to it; those that would
            be much shorter waste what they may tell; those that are not finite count as zero. Nothing that depends on
            the picture may raise, since an error tells of it without noise. Equal arguments give equal vectors.
        """

    @abstractmethod
    def learn(self, state: State, total: Tensor) -> State:
        """What is known after a round.

        Args:
            state: What was known before; not to be changed.
            total: The noisy sum of all pictures' vectors, shape ``(self.dimensions(state),)``, float64.
        """

    @abstractmethod
    def finish(self, state: State) -> Learnt:
        """What the global bank is made of, after the last round."""

    @property
    def multipliers(self) -> tuple[float, ...]:
        """Noise of each round: its standard deviation divided by :attr:`clip`."""
        return noise_multipliers(self._mu, self.shares)

    def report(self, unit: Literal["picture", "part"] = "picture") -> PrivacyReport:
        """What is promised over all rounds.

        Args:
            unit: What the sites hand over as one unit.
        """
        return self._report(unit, self.multipliers)

    def report_of_round(self, number: int, unit: Literal["picture", "part"] = "picture") -> PrivacyReport:
        """What one round alone gives away, for the ledger.

        Args:
            number: Of the round, from 0.
            unit: What the sites hand over as one unit.
        """
        return self._report(unit, (self.multipliers[number],))

    def grid(self, number: int, state: State) -> NoiseGrid:
        """Where all sites compute in a round."""
        return self.adders.grid(clip=self.clip, multiplier=self.multipliers[number], dimensions=self.dimensions(state))

    def release(self, units: Iterable[Sequence[Tensor]], state: State, number: int, *, noise: Noise) -> Integers:
        """What a site sends in a round.

        Args:
            units: Per unit, the patch features of each of its pictures, as :meth:`contribution` takes them.
            state: What everybody knows; not trusted, since no state makes a picture's vector longer than the clip.
            number: Of the round, from 0.
            noise: Used unless the centre adds it.

        Returns:
            Shape ``(self.dimensions(state),)``, int64: the sum in steps of the round's grid.

        Raises:
            ValueError: If the state is none, or a vector has another shape. No picture can make it fail: an error would
                tell of it, without noise.
        """
        check_state(state)
        grid = self.grid(number, state)
        vectors = ([_told(self.contribution(each, state)) for each in unit] for unit in units)
        return self.adders.at_site(clipped_sum(vectors, grid), noise=noise)

    def total(self, sums: Iterable[Integers], state: State, number: int, *, noise: Noise) -> Tensor:
        """What the centre hands to :meth:`learn`.

        Args:
            sums: What each site sent, of at least one, checked by :func:`anomalib_federated.privacy.sums.check_sum`.
            state: What everybody knew when it was sent.
            number: Of the round, from 0.
            noise: Used if the centre adds it.
        """
        whole = self.adders.at_centre(np.sum(list(sums), axis=0), noise=noise)
        return torch.from_numpy(self.grid(number, state).decode(whole))

    def _report(self, unit: Literal["picture", "part"], multipliers: tuple[float, ...]) -> PrivacyReport:
        return PrivacyReport(
            plugin=self.name,
            unit=unit,
            adjacency="add_or_remove",
            mechanism=(
                f"Of each {unit} one vector, clipped to length {self.clip:g}, in {len(multipliers)} of "
                f"{len(self.shares)} rounds; discrete Gaussian noise on the sum of all."
            ),
            clip=self.clip,
            noise_multipliers=multipliers,
            epsilon=epsilon_of(composed(1 / z for z in multipliers), self.delta),
            delta=self.delta,
            covers=("the noisy sums", "the global bank, and all else that is computed from the sums"),
            public=self.public,
            noise_by=self.adders.noise_by,
            honest_sites=self.adders.honest_sites,
        )


def _told(vector: Tensor) -> Vectors:
    """A picture's vector; zero if its length is no number, which a state made for it could bring about."""
    told: Vectors = vector.double().cpu().numpy()
    with np.errstate(over="ignore", invalid="ignore"):
        return told if np.isfinite(np.square(told).sum()) else np.zeros_like(told)
