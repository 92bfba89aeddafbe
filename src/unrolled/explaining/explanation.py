"""One run of a network with all that there is to say about it: what every way of telling is made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.equations.evaluation import Moment, evaluate, moments
from unrolled.equations.table import Key, Table
from unrolled.errors import UnrolledError
from unrolled.network import Network
from unrolled.tape import Tape

Array = Any


@dataclass(frozen=True)
class Theirs:
    """A person's own program, as `unrolled check` saw it run on these numbers.

    `values` has what it computed where that is wrong, in the legend's layout; `wrong` are the mistakes
    themselves, the first one first, all else in `values` follows from them; `lines` has for each quantity the line
    that computes it, and its text; `said` what was found at each mistake, by quantity.
    """

    file: str
    values: Mapping[Key, Array]
    wrong: tuple[Key, ...]
    lines: Mapping[str, tuple[int, str]]
    said: Mapping[str, str]

    def status(self, key: Key) -> str:
        """Return "wrong" for a mistake, "follows" for what is wrong because of one, "" for what is right."""
        return "wrong" if key in self.wrong else "follows" if key in self.values else ""


@dataclass(frozen=True, repr=False)
class Explanation:
    """A network's run over some sequences, step by step.

    `title` says what it is of, `notes` what else is to be known about it; `reduction` is that of the loss.
    `labels` are what the entries of x and y stand for, the characters of a text; empty where nothing.
    `theirs` is a person's own program beside it, or None. `story` is what an example's file says about the
    descents that its story tells of.
    """

    net: Network
    tape: Tape
    title: str = ""
    notes: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    reduction: str = "mean"
    theirs: Theirs | None = None
    story: Mapping[str, Any] | None = None

    @property
    def table(self) -> Table:
        """The equations."""
        return self.net.table

    @property
    def T(self) -> int:  # noqa: N802 - the legend's name
        """The number of steps."""
        return self.tape.batch.T

    @property
    def m(self) -> int:
        """The number of sequences."""
        return self.tape.batch.m

    @cached_property
    def sizes(self) -> dict[str, int]:
        """n_x, n_a, n_y, m and T."""
        return {**self.net.sizes, "m": self.m, "T": self.T}

    @cached_property
    def moments(self) -> tuple[Moment, ...]:
        """Every equation at every step, in the order of the calculation."""
        return tuple(moments(self.table, self.T))

    def find(self, label: str) -> int:
        """Return which of the moments is named, as `t=3:dz_a` or `dW_aa`.

        Raises UnrolledError where none is.
        """
        labels = [moment.label for moment in self.moments]
        if label in labels:
            return labels.index(label)
        first = next((k for k, at in enumerate(labels) if at.startswith(f"{label}:")), None)
        if first is not None:  # a step alone, t=3: its first equation
            return first
        names = dict.fromkeys(moment.equation.name for moment in self.moments)
        raise UnrolledError(
            f"step {label!r} is not one of this calculation's: expected t=0:… to t={self.T - 1}:… "
            f"or a total, such as dW_aa, with one of {', '.join(names)}"
        )

    @cached_property
    def given(self) -> dict[Key, Array]:
        """What nothing is computed from: parameters, initial states, x, y and omega of each step."""
        found: dict[Key, Array] = {(n, None): value for n, value in self.tape.parameters.items()}
        state = self.tape.batch.state
        found |= {(f"{s}0", None): value for s, value in state.items()}
        return found | {
            (name, t): self._steps[t][name] for t in range(self.T) for name in ("x", "y", "omega")
        }

    @cached_property
    def _steps(self) -> list[Mapping[str, Array]]:
        return [self.tape[t] for t in range(self.T)]

    def value(self, name: str, t: int | None) -> Array:
        """Return what a name in an equation of step t stands for, (n, m); of None a total or parameter.

        Raises UnrolledError where there is no such step.
        """
        name, t = self.table.placed(name, t)
        if t is not None:
            if not -self.T <= t < self.T:
                raise UnrolledError(f"there is no step {t} of {name}: expected 0 to {self.T - 1}")
            return self._steps[t][name]
        return self.given[name, None] if (name, None) in self.given else self._total(name)

    def labels_of(self, axis: str | int) -> tuple[str, ...]:
        """Return what the entries along an axis stand for, in quotes; nothing where that is not known."""
        of = axis in ("n_x", "n_y") and len(self.labels) == self.sizes[str(axis)]
        return tuple(map(repr, self.labels)) if of else ()

    def _total(self, name: str) -> Array:
        if name == "loss":
            return self.tape["loss"].reshape(1, 1)
        assert self.tape.gradients is not None
        return self.tape.gradients[name.removeprefix("d")]

    @cached_property
    def told(self) -> tuple[str, ...]:
        """The story in sentences, empty where there is none; its descents are run when it is asked for."""
        from unrolled.explaining.descent import tell  # which needs this file

        return tuple(tell(self))

    def computed(self, **changed: Any) -> dict[Key, Array]:
        """Return every number with something changed, as `equations.evaluation.evaluate` takes it."""
        return evaluate(self.table, **{"given": self.given, "T": self.T, **changed})

    def save(self, path: str | Path) -> None:
        """Write it to a file: its ending says how, .html, .xlsx, .tex, .md or .json.

        Raises UnrolledError for another ending, and where the file cannot be written.
        """
        from unrolled.explaining.files import save  # which needs this file

        save(self, Path(path))

    def _repr_html_(self) -> str:
        from unrolled.explaining.page import to_frame

        return to_frame(self)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{name} = {size}" for name, size in self.sizes.items())
        return f"Explanation of {self.title or self.net.architecture.step.cell.name}: {sizes}"


def explain(
    net: Network, X: Array, Y: Array, state: Any = None, reduction: str = "mean", title: str = "",
) -> Explanation:  # fmt: skip
    """Explain how a network computes its loss and all gradients of these sequences, number by number.

    Args:
        net: of one layer in one direction, without an embedding.
        X, Y, state, reduction: as in `Network.loss_and_gradients`.
        title: what it is of, as it is to be said.

    In a notebook the result shows as a page; `.save("page.html")` writes it, or a workbook (.xlsx), a
    document (.tex, .md) or the numbers (.json). Raises UnrolledError for bad input, and for a network
    of several layers.
    """
    if not isinstance(net, Network):
        raise UnrolledError(f"net is {type(net).__name__}: expected a Network")
    architecture = net.architecture
    for what, there in (
        (f"{architecture.layers} layers", architecture.layers > 1),
        ("two directions", architecture.bidirectional),
        ("an embedding", architecture.embedding is not None),
    ):
        if there:
            raise UnrolledError(
                f"the network has {what}: expected one layer in one direction without an embedding, "
                "which is what can be explained"
            )
    with np.errstate(all="ignore"):  # what is too large, or no number, is shown
        tape = net.tape(X, Y, state, reduction=reduction)
    return Explanation(net, tape, title, reduction=reduction)
