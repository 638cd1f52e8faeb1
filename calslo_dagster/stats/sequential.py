"""Sequential detectors: Shiryaev-Roberts mixtures of bets, whose rate of false alarms is a theorem.

Each bet j has a mean of at most 1 per batch while the null holds. M_j <- (1 + M_j) e^{l_j} and M = sum w_j M_j then
grow by at most 1 per batch in the mean, and with a return to 0 at each alarm M + A * alarms does so too: from M = h,
at most (t + h) / A false alarms are expected in t batches, whatever t (Shiryaev 1963; Roberts 1966; Shin, Ramdas and
Rinaldo 2023). The head start h (Moustakides, Polunchenko and Tartakovsky 2011) is for what a new calibrator breaks.
"""

import base64
import binascii
import json
import math
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np

from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats.baseline import BLOCKS, Baseline
from calslo_dagster.stats.batches import Batch, Floats
from calslo_dagster.stats.learned import Learned
from calslo_dagster.stats.tilts import Kind, family, log_bets

# Written with each state: evidence for other bets must not go on as evidence for these.
FORMAT: Final = 1
# Batches whose share of the false alarms an epoch spends at its begin, to be sooner in its first hours.
HEAD_START: Final = 50
LARGEST_GAIN: Final = 60.0
LARGEST_MASS: Final = 1e200


@dataclass(frozen=True, slots=True, eq=False)
class Mixture:
    """The evidence of a family of bets since the last reset.

    mass: M_j, shape (bets,); start: the mean time at which the change began if bet j is right, each moment being as
    likely beforehand, shape (bets,), NaN before the first batch; updates: batches seen, the head start included.
    """

    mass: Floats
    start: Floats
    updates: int

    @classmethod
    def empty(cls, bets: int, *, head_start: int = 0) -> Self:
        """Return the state before the first batch, with a head start in an epoch and without one after an alarm."""
        return cls(np.full(bets, float(head_start)), np.full(bets, np.nan), head_start)

    def after(self, log_bet: Floats, at: float) -> Self:
        """Return the state after a batch at time `at`, in any unit, on which the bets made e^log_bet."""
        known = np.where(np.isnan(self.start), at, self.start)
        start = (self.mass * known + at) / (self.mass + 1)
        grown = (1 + self.mass) * np.exp(np.minimum(log_bet, LARGEST_GAIN))
        return type(self)(np.minimum(grown, LARGEST_MASS), start, self.updates + 1)

    def statistic(self, weights: Floats) -> float:
        """Return M, to be compared with a threshold."""
        return float((weights * self.mass).sum())


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """The state of one detector on one slice and one version of its calibrator, the epoch."""

    kind: Kind
    epoch: str
    mixture: Mixture
    learned: Learned

    @classmethod
    def fresh(cls, kind: Kind, epoch: str, *, head_start: int = HEAD_START) -> Self:
        """Return a detector that has seen nothing."""
        return cls(kind, epoch, Mixture.empty(len(family(kind).names), head_start=head_start), Learned.nothing())

    def step(
        self,
        batch: Batch,
        baseline: Baseline,
        *,
        at: float,
        epoch: str = "",
        dispersion: float = 1.0,
        learned: Learned | None = None,
    ) -> Self:
        """Return the state after a batch; the same state for a batch without events.

        `baseline` and `dispersion`, which divides the logarithm of each bet, come from before the batch. A bet to the
        power of 1 / dispersion <= 1 stays unfavourable. An epoch other than the detector's own starts afresh; the
        default is its own. learned: what is known after the batch, where a detector that knew the same has it already.
        """
        if not dispersion >= 1.0:
            raise ValueError(f"a dispersion is at least 1, got {dispersion}")
        if epoch and epoch != self.epoch:
            return type(self).fresh(self.kind, epoch).step(batch, baseline, at=at, dispersion=dispersion)
        if not len(batch.at):
            return self
        log_bet = log_bets(self.kind, batch, baseline, self.learned) / dispersion
        mixture, known = self.mixture.after(log_bet, at), learned or self.learned.after(batch, baseline)
        return type(self)(self.kind, self.epoch, mixture, known)

    def reset(self) -> Self:
        """Return the state after an alarm: no evidence, but what was learned of the shape."""
        return replace(self, mixture=Mixture.empty(len(self.mixture.mass)))

    @property
    def statistic(self) -> float:
        """M, which the alarm compares with its threshold."""
        return self.mixture.statistic(family(self.kind).weights)

    @property
    def e_value(self) -> float:
        """M per batch since the reset, of mean at most 1 under the null at any fixed time; 1 without any."""
        return self.statistic / self.mixture.updates if self.mixture.updates else 1.0

    def evidence(self, threshold: float) -> float:
        """Return log10(M / threshold), 0 or more at an alarm, -inf after one."""
        return math.log10(self.statistic / threshold) if self.statistic > 0 else -math.inf

    @property
    def leading(self) -> tuple[str, float]:
        """The name of the bet that holds most of M, and when the change that it sees began."""
        bets = family(self.kind)
        at = int(np.argmax(bets.weights * self.mixture.mass))
        return bets.names[at], float(self.mixture.start[at])

    def dumped(self) -> str:
        """Return the state as JSON, from which `loaded` gives it back bit by bit."""
        arrays = {name: _text(array) for name, array in self._arrays().items()}
        head = {"format": FORMAT, "kind": self.kind.value, "epoch": self.epoch, "updates": self.mixture.updates}
        return json.dumps(head | arrays)

    @classmethod
    def loaded(cls, text: str) -> Self:
        """Return the state that `dumped` wrote; SnapshotError if it was not written for these bets."""
        try:
            return cls._of(json.loads(text))
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise SnapshotError(f"no state of a detector of format {FORMAT} ({error}); start it afresh") from error

    @classmethod
    def _of(cls, state: dict[str, Any]) -> Self:
        if state["format"] != FORMAT:
            raise ValueError(f"its format is {state['format']}")
        kind = Kind(state["kind"])
        bets, shape = len(family(kind).names), (Learned.count(), BLOCKS)
        mixture = Mixture(_array(state["mass"], (bets,)), _array(state["start"], (bets,)), int(state["updates"]))
        learned = Learned(_array(state["residual"], shape), _array(state["variance"], shape))
        return cls(kind, str(state["epoch"]), mixture, learned)

    def _arrays(self) -> dict[str, Floats]:
        return {
            "mass": self.mixture.mass,
            "start": self.mixture.start,
            "residual": self.learned.residual,
            "variance": self.learned.variance,
        }


def _text(array: Floats) -> str:
    return base64.b64encode(array.astype("<f8").tobytes()).decode("ascii")


def _array(text: str, shape: tuple[int, ...]) -> Floats:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype="<f8").astype(np.float64).reshape(shape)
