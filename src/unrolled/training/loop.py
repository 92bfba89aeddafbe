"""The training loop: one update a window, the state carried on, and all that a checkpoint holds.

Everything that is drawn is a function of the seed, the epoch and the step, so a training that goes on
from a checkpoint goes on with the same bytes.
"""

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from unrolled.data.windows import Source, Window
from unrolled.errors import UnrolledError
from unrolled.inputs import check_parameters, make_batch
from unrolled.network import Network
from unrolled.training.evaluation import carried, is_finite, mean_loss
from unrolled.training.first_bad import first_bad
from unrolled.training.optimisers import (
    SGD,
    Adam,
    clip_by_norm,
    clip_by_value,
    norm_of,
    rate_factor,
)
from unrolled.training.plan import Plan

Array = Any


class NotFiniteError(UnrolledError):
    """The loss, a gradient or a parameter is no finite number any more."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one update of the parameters measured: a row of metrics.csv.

    `loss` is the mean over the window's targets before the update, `validation_loss` that over the
    held-back data after it, None where they were not looked at; `gradient_norm` is that before
    clipping; `seconds` have passed since the training began.
    """

    step: int
    epoch: int
    loss: float
    validation_loss: float | None
    gradient_norm: float
    clipped: bool
    learning_rate: float
    targets: int
    seconds: float


@dataclass
class Place:
    """Where a training is: what a checkpoint holds beside parameters, optimiser and carried state.

    `window` windows of the epoch (counted from 0) are done. `best_loss` is the lowest on held-back
    data, `worse` how often they were looked at since. `samples` are those written on the way.
    """

    step: int = 0
    epoch: int = 0
    window: int = 0
    best_step: int = 0
    best_loss: float | None = None
    worse: int = 0
    samples: list[dict[str, Any]] = field(default_factory=list)


def check_fits(net: Network, source: Source, plan: Plan, validation: Source | None) -> None:
    """Raise UnrolledError where network, data and plan do not go together."""
    if plan.patience is not None and validation is None:
        raise UnrolledError("patience goes with held-back data: expected validation")
    for data in filter(None, (source, validation)):
        if net.architecture.bidirectional and data.cut:
            raise UnrolledError(
                "the network has two directions and has to see a sequence whole: "
                "expected data that are not cut into windows"
            )


def check_kept(optimiser: SGD | Adam, net: Network) -> None:
    """Raise UnrolledError where an optimiser has worked on another network."""
    count = sum(value.size for value in net.parameters.values())
    for name, kept in optimiser.kept.items():
        if kept.shape != (count,):
            raise UnrolledError(
                f"the optimiser keeps {name} of {kept.size} numbers, and the network has {count}: it is "
                "another network's, make a new one"
            )


class Training:
    """One training on its way. `net` has the last parameters, `best` those with the lowest loss on
    held-back data; `good` are the last from which a finite loss was computed.
    """

    def __init__(
        self, net: Network, source: Source, optimiser: SGD | Adam, plan: Plan,
        validation: Source | None = None, write: Callable[[Network], list[str]] | None = None,
    ):  # fmt: skip
        check_fits(net, source, plan, validation)
        check_kept(optimiser, net)
        self.net, self.source, self.optimiser, self.plan = net, source, optimiser, plan
        self.validation, self.write = validation, write
        self.place = Place()
        self.state: dict[str, Array] | None = None
        self.best: Mapping[str, Array] | None = None
        self.good: Mapping[str, Array] = deepcopy(net.parameters)
        self.ended_by = ""
        self.before = 0.0  # seconds that it was trained before it went on from a checkpoint
        self._started = time.perf_counter()

    @property
    def last_step(self) -> int | None:
        """How many steps there will be; None where time or patience decides."""
        return self.plan.last_step(self.source.updates)

    @property
    def seconds(self) -> float:
        """How long this has been trained, before an interruption and since."""
        return self.before + time.perf_counter() - self._started

    def updates(self) -> Iterator[Update]:
        """Update the parameters window after window, and yield what was measured, until it is over.

        It can be left between any two. Raises UnrolledError where the loss is no finite number any
        more; the network's parameters are then `good`.
        """
        self._started = time.perf_counter()
        check_parameters(self.net.parameters, self.net.architecture, self.net.dtype)
        self.ended_by = self._end()
        windows = self._windows() if not self.ended_by else iter(())
        for window, epoch in windows:
            if not self.place.samples:
                self._sample()
            if window.Y is None:
                start = carried(self.state, window)
                self.state = self.net.loss_and_state(window.X, None, start, window.lengths)[1]
                continue
            loss, norm, clipped, rate = self._update(window)
            self.ended_by = self._end()
            validation = self._look()
            yield Update(
                self.place.step, epoch + 1, loss, validation, norm, clipped, rate,
                window.targets, self.seconds,
            )  # fmt: skip
            if self.ended_by:
                return

    def _windows(self) -> Iterator[tuple[Window, int]]:
        """Yield window after window, epoch after epoch, each with its epoch; the place is behind it."""
        place = self.place
        while True:
            epoch, whole, before = place.epoch, not place.window, place.step
            rest = itertools.islice(self.source.windows(epoch), place.window, None)
            window = next(rest, None)
            while window is not None:
                following = next(rest, None)
                place.window += 1
                if following is None:
                    place.epoch, place.window = epoch + 1, 0
                yield window, epoch
                window = following
            if whole and place.step == before:
                raise UnrolledError("the data have no target: expected at least one")
            place.epoch, place.window = epoch + 1, 0

    def _update(self, window: Window) -> tuple[float, float, bool, float]:
        """Update the parameters; return the loss, the gradients' norm, whether it was clipped, and
        the learning rate.
        """
        net, plan, step = self.net, self.plan, self.place.step + 1
        start = carried(self.state, window)
        if not is_finite(start):
            self._refuse("state carried from the window before")
        factor = rate_factor(plan.schedule, step, self.last_step, plan.warmup)
        with np.errstate(all="ignore"):  # what overflows is said
            batch = make_batch(
                net.architecture, net.dtype, window.X, start, window.lengths, window.Y,
                dropout_seed=(plan.seed << 32) + step,
            )  # fmt: skip
            loss, state, gradients = net.run_batch(batch)
            norm = clip_by_norm(gradients, plan.clip_norm or math.inf)
            clipped = norm > (plan.clip_norm or math.inf)
            if plan.clip_value:
                clipped = clip_by_value(gradients, plan.clip_value) or clipped
            if not (math.isfinite(loss) and math.isfinite(norm)):
                self._refuse("loss" if not math.isfinite(loss) else "gradient", window, start)
            for name, value in net.parameters.items():
                np.copyto(self.good[name], value)
            self.optimiser.update(net.parameters, gradients, factor)
        if not math.isfinite(norm_of(net.parameters)):
            self._refuse("size of the parameters")
        self.state, self.place.step = state, step
        return loss, norm, clipped, self.optimiser.learning_rate * factor

    def _refuse(self, what: str, window: Window | None = None, start: Any = None) -> NoReturn:
        """Say what is not finite and what went first, and go back to the last good parameters."""
        first = first_bad(self.net, window, start) if window else ""
        clip = "" if self.plan.clip_norm or self.plan.clip_value else ", or clip the gradients"
        for name, value in self.good.items():
            np.copyto(self.net.parameters[name], value)
        raise NotFiniteError(
            f"the {what} is not finite at step {self.place.step + 1}{first}: try a learning rate "
            f"below {self.optimiser.learning_rate:g}{clip}"
        )

    def _end(self) -> str:
        """Say what ends the training now, if anything does."""
        plan, place = self.plan, self.place
        if plan.steps is not None and place.step >= plan.steps:
            return "steps"
        if plan.epochs is not None and place.epoch >= plan.epochs:
            return "epochs"
        if plan.patience is not None and place.worse >= plan.patience:
            return "patience"
        late = plan.seconds is not None and self.seconds >= plan.seconds
        return "seconds" if late and place.step else ""

    def _look(self) -> float | None:
        """Every now and then, and at the end: the loss on held-back data, and a sample."""
        place, every = self.place, self.plan.looks_every(self.validation)
        looks, rest = divmod(place.step, every)
        if not rest and looks & (looks - 1) == 0:  # the 1st, 2nd, 4th, 8th, …
            self._sample()
        if self.validation is None or (rest and not self.ended_by):
            return None
        loss = mean_loss(self.net, self.validation)
        place.worse += 1
        lowest = math.inf if place.best_loss is None else place.best_loss
        if loss < lowest:  # which NaN and infinity are not
            place.best_loss, place.best_step, place.worse = loss, place.step, 0
            self.best = deepcopy(self.net.parameters)
        self.ended_by = self.ended_by or self._end()
        return loss

    def _sample(self) -> None:
        if self.write is not None:
            written = {"step": self.place.step, "texts": self.write(self.net)}
            self.place.samples.append(written)
