"""Watching whether a station still sees what it was calibrated on.

A lamp ages, a lens gets dirty, a camera freezes: thresholds then promise nothing. Each new score falls into one of the
bins that the calibration's scores divide the line into, and four gamblers bet on the bin beforehand: that scores rose
or fell by one standard deviation, that they go on as the last ones did, that more pictures score above the threshold.
If nothing changed, the bets are fair and nobody gets rich. What the gamblers own together, a Shiryaev-Roberts
statistic, raises the alarm.

The odds are those of a Polya urn, so they know how little a few calibration pictures tell, and learn from every
picture. Therefore the number of pictures to a false alarm is, on average, at least the one asked for, whatever the
scores' distribution is and however few pictures calibrated; and the chance of a false alarm within the next ``m``
pictures is at most ``m / pictures_to_false_alarm``. Both hold for pictures that could be exchanged with those of the
calibration. Parts that come in batches cannot: then an alarm tells that a batch differs.

Whoever won most tells what it looks like. Defective parts leave the scores of the others as they were, so their wave
can be told from light that changed.

Measured with scores of real parts (``benchmarks/drift.py``), with 50 and 500 to calibrate: 1773 and 1467 pictures
to a false alarm where 1000 are asked for; a shift of one standard deviation is noticed after 20, and 10 % more pictures
above the threshold after 276 and 122 (medians).

Needs the standard library alone.

Source: Vovk and others, "Retrain or not retrain: conformal test martingales for change-point detection", 2021;
Blackwell and MacQueen, "Ferguson distributions via Polya urn schemes", 1973.

Example:
    >>> from anomalib_federated.deploy.calibration import calibrate
    >>> scores = [0.20 + 0.002 * number for number in range(100)]
    >>> calibration = calibrate(
    ...     scores, scores, category="pipe_clip", model_version="1f0c", false_alarm_rate=0.05
    ... )
    >>> drift = ScoreDrift(calibration)
    >>> alarms = [drift.add(0.25) for _ in range(40)]  # the camera froze
    >>> next(alarm.kind for alarm in alarms if alarm)
    'other'
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from operator import mul
from typing import Any, Literal, get_args

from anomalib_federated.deploy.calibration import Calibration
from anomalib_federated.deploy.score_bins import ScoreBins
from anomalib_federated.untrusted import shown

Kind = Literal["higher", "lower", "other", "more_above"]
KINDS: tuple[Kind, ...] = get_args(Kind)

FORMAT = 1
"""Of the state."""

PICTURES_TO_FALSE_ALARM = 20_000
"""On average, unless another number is asked for."""

_SHIFT = 1.0  # standard deviations that two gamblers expect
_BAD_PARTS = 0.1  # share of the pictures that a wave is expected to add above the threshold
_MEMORY = 20.0  # pictures that the gambler on the last ones looks back
_DOUBT = 10.0  # pictures that its trust in the calibration weighs


@dataclass(frozen=True)
class DriftAlarm:
    """Scores are no longer those of the calibration.

    Attributes:
        kind: ``higher`` or ``lower``: all scores rose or fell. ``other``: they are different, such as always the same.
            ``more_above``: more pictures score above the threshold and the others score as ever, which looks like
            defective parts.
        pictures: Since how many pictures this has been so, by estimate.
        above: Share of these pictures above the threshold.
        usual: Share that was usual before.
    """

    kind: Kind
    pictures: int
    above: float
    usual: float

    @property
    def sentence(self) -> str:
        """What happened and where to look, for people."""
        since = (
            f"since about {self.pictures} pictures; {self.above:.0%} of them are called bad, usual is {self.usual:.0%}"
        )
        return {
            "higher": f"All scores have risen {since}: check light, lens, and how parts lie.",
            "lower": f"All scores have fallen {since}: check light, lens, and how parts lie.",
            "other": f"Scores are unlike those of the calibration {since}: check that the camera sends fresh pictures.",
            "more_above": f"More parts are called bad {since}: look at these parts; the others score as ever.",
        }[self.kind]


@dataclass
class _Gambler:
    """What one of them won so far.

    Attributes:
        evidence: Sum over all starts of what one coin would have become: the Shiryaev-Roberts statistic.
        lead: Logarithm of what a coin would have become since the best of all starts: the CUSUM statistic.
        pictures: Since that start.
        above: Of these, pictures above the threshold.
    """

    evidence: float = 0.0
    lead: float = 0.0
    pictures: int = 0
    above: int = 0

    def settle(self, factor: float, *, above: bool) -> None:
        """Pay out ``factor`` for each coin; a new one is bet with every picture."""
        self.evidence = (1 + self.evidence) * factor
        self.lead += math.log(factor)
        if self.lead <= 0:
            self.lead, self.pictures, self.above = 0.0, 0, 0
        else:
            self.pictures += 1
            self.above += above


class ScoreDrift:
    """Watches the scores of one station.

    Args:
        calibration: What scores were like, and the threshold.
        pictures_to_false_alarm: How many there are at least, on average, if nothing changes.

    Raises:
        ValueError: If the calibration has too few pictures or too few different scores, or the number is below 1.
    """

    def __init__(self, calibration: Calibration, *, pictures_to_false_alarm: float = PICTURES_TO_FALSE_ALARM) -> None:
        if not 1 <= pictures_to_false_alarm < math.inf:
            msg = f"pictures_to_false_alarm is {pictures_to_false_alarm}; give a number of at least 1, such as 20000."
            raise ValueError(msg)
        self.calibration = calibration
        self.pictures_to_false_alarm = float(pictures_to_false_alarm)
        self._bins = ScoreBins.of(calibration.scores, calibration.threshold)
        self._risen = [math.exp(_SHIFT * place) for place in self._bins.places]
        self._fallen = [math.exp(-_SHIFT * place) for place in self._bins.places]
        self._start()

    def _start(self) -> None:
        self._counts = [0] * len(self._bins.masses)
        self._last = [0.0] * len(self._bins.edges)
        self._gamblers = {kind: _Gambler() for kind in KINDS}

    def add(self, score: float) -> DriftAlarm | None:
        """Note the score of a picture.

        Args:
            score: As the station tells it: normalised, in 0 .. 1.

        Returns:
            An alarm, after which watching starts anew: it comes again as long as its reason lasts. None if all is well.

        Raises:
            ValueError: If the score is not finite.
        """
        if not math.isfinite(score):
            msg = f"The score is {score}, not a finite number; export the model again."
            raise ValueError(msg)
        found = self._bins.find(score)
        odds = [mass + count for mass, count in zip(self._bins.masses, self._counts, strict=True)]
        usual = odds[-1] / sum(odds)
        above = found == len(odds) - 1
        for kind, factor in self._factors(found, odds).items():
            self._gamblers[kind].settle(factor, above=above)
        self._counts[found] += 1
        owned = sum(gambler.evidence for gambler in self._gamblers.values()) / len(self._gamblers)
        if owned < self.pictures_to_false_alarm:
            return None
        kind, winner = max(self._gamblers.items(), key=lambda item: item[1].lead)
        self._start()
        return DriftAlarm(kind, winner.pictures, winner.above / max(1, winner.pictures), usual)

    def _factors(self, found: int, odds: Sequence[int]) -> dict[Kind, float]:
        """What the bets on the bin that was found pay; each is fair under the odds."""
        total, top = sum(odds), odds[-1]
        wave = top + _BAD_PARTS * (total - top)
        above = found == len(odds) - 1
        return {
            "higher": self._risen[found] * total / sum(map(mul, odds, self._risen)),
            "lower": self._fallen[found] * total / sum(map(mul, odds, self._fallen)),
            "other": 1.0 if above else self._learnt(found, odds[found] / (total - top)),
            "more_above": wave / top if above else (total - wave) / (total - top),
        }

    def _learnt(self, found: int, fair: float) -> float:
        """The same for a bet that goes by the last pictures, among the bins below the threshold."""
        factor = (self._last[found] + _DOUBT * fair) / (sum(self._last) + _DOUBT) / fair
        self._last = [(1 - 1 / _MEMORY) * weight for weight in self._last]
        self._last[found] += 1
        return factor

    def state(self) -> dict[str, Any]:
        """What :meth:`from_state` goes on from: plain data, fit for JSON."""
        return {
            "format": FORMAT,
            "calibration": self.calibration.digest,
            "pictures_to_false_alarm": self.pictures_to_false_alarm,
            "counts": list(self._counts),
            "last": list(self._last),
            **{kind: list(astuple(gambler)) for kind, gambler in self._gamblers.items()},
        }

    @classmethod
    def from_state(cls, calibration: Calibration, state: object) -> ScoreDrift:
        """Go on watching after a restart, as if there had been none.

        Args:
            calibration: The one that the state was made with.
            state: What :meth:`state` gave, or what was read from a file.

        Raises:
            ValueError: If the state is damaged or was made with another calibration.
        """
        checked = _checked(state, like=cls(calibration).state())
        drift = cls(calibration, pictures_to_false_alarm=checked["pictures_to_false_alarm"])
        drift._counts, drift._last = list(checked["counts"]), list(checked["last"])
        drift._gamblers = {kind: _Gambler(*checked[kind]) for kind in drift._gamblers}
        return drift


def _checked(state: object, *, like: dict[str, Any]) -> Mapping[str, Any]:
    if not isinstance(state, Mapping) or state.keys() != like.keys():
        msg = f"The drift state {shown(state)} was not written by this version: delete it to start anew."
        raise ValueError(msg)
    for name in ("format", "calibration"):
        if state[name] != like[name]:
            msg = (
                f"The drift state is for {name} {shown(state[name])}, not {shown(like[name])}: delete it to start anew."
            )
            raise ValueError(msg)
    for name, pattern in like.items():
        if not _alike(state[name], pattern):
            msg = f"The drift state has {name} = {shown(state[name])}, which cannot be: delete it to start anew."
            raise ValueError(msg)
    return state


def _alike(value: object, pattern: object) -> bool:
    """Whether something is a list of as many numbers, or a number of the kind, none negative."""
    if isinstance(pattern, list):
        return isinstance(value, list) and len(value) == len(pattern) and all(map(_alike, value, pattern))
    if isinstance(pattern, float):
        return type(value) in {int, float} and 0 <= value < math.inf  # type: ignore[operator]
    return type(value) is type(pattern) and (not isinstance(value, int) or 0 <= value < 2**53)
