"""What is learned from data: how raw data become numbers, what a network for them looks like, how its
result is measured, and what it has to beat. One file a kind.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from unrolled.data.windows import Source
from unrolled.errors import UnrolledError
from unrolled.network import Network

Array = Any
Measures = dict[str, float]


@dataclass(frozen=True)
class Usual:
    """What a training on such data uses where nothing else is said: hidden units, updates, the
    learning rate of Adam and what becomes of it, and after how many looks at held-back data without a
    lower loss it ends. docs/learning.md has what they lead to.
    """

    hidden: int
    steps: int
    rate: float
    schedule: str
    patience: int | None = None


class Task(Protocol):
    """What a run remembers of its data, to read more of the same kind.

    `measure` names the one measure that counts, of those that `measures` returns; `higher` says whether
    more of it is better; `ahead`, whether the next step is predicted; `usual` is how such data are trained on.
    """

    kind: ClassVar[str]
    measure: ClassVar[str]
    higher: ClassVar[bool]
    ahead: ClassVar[bool]
    usual: ClassVar[Usual]

    @property
    def sizes(self) -> dict[str, Any]:
        """n_x, n_y and output of a network."""

    @property
    def settings(self) -> dict[str, Any]:
        """What makes the task again, for settings.json."""

    def measures(self, net: Network, source: Source) -> Measures:
        """Return the loss and what it means, by name."""

    def write(self, net: Network, count: int | None = None) -> list[str]:
        """Return samples of what the network writes; empty where it writes nothing."""


@dataclass(frozen=True)
class Dataset:
    """Data ready for training: a task, the sources, and what is to be beaten.

    `references` has by name what others reach on the held-back data, in the task's measures. `facts` are
    lines for people: what the data are and how they were read. `origin` says where they come from.
    """

    task: Task
    training: Source
    validation: Source | None
    references: Mapping[str, Measures]
    facts: tuple[str, ...]
    origin: dict[str, Any] = field(default_factory=dict)

    def network(self, cell: Any = "lstm", n_a: int | None = None, **options: Any) -> Network:
        """Return a network for these data; the other arguments are those of Network.

        Raises UnrolledError for two directions where the next step is to be predicted.
        """
        if options.get("bidirectional") and self.task.ahead:
            raise UnrolledError(
                "a network with two directions sees what it is to predict, the next step: expected one"
            )
        return Network(cell, n_a=n_a or self.task.usual.hidden, **(self.task.sizes | options))

    @property
    def settings(self) -> dict[str, Any]:
        """What settings.json says of the data."""
        return {
            **self.task.settings, "origin": self.origin, "facts": list(self.facts),
            "references": {name: dict(measures) for name, measures in self.references.items()},
        }  # fmt: skip


def verdict(task: Task, measures: Measures, references: Mapping[str, Measures]) -> list[str]:
    """Say for each reference whether it was beaten, and by how much."""
    said, found = [], measures[task.measure]
    for name, reference in references.items():
        theirs = reference.get(task.measure)
        if theirs is None:
            continue
        better = found > theirs if task.higher else found < theirs
        near = abs(found - theirs) <= 0.03 * abs(theirs)
        word = "no better than" if near else "better than" if better else "worse than"
        said.append(f"{word} {name}: {task.measure} {found:.4g} against {theirs:.4g}")
    return said


def texts(names: Any) -> tuple[str, ...]:
    """Return names that settings have. Raises ValueError where they are none."""
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"{names!r}: expected a list of names")
    return tuple(names)


def mean_and_scale_of(settings: Mapping[str, Any], n: int) -> tuple[Array, Array]:
    """Return the mean and the scale (n,) that settings have. Raises ValueError where they are none."""
    mean, scale = (np.array(settings[name], dtype=float) for name in ("mean", "scale"))
    if not mean.shape == scale.shape == (n,) or not (np.isfinite(mean) & (scale > 0)).all():
        raise ValueError(f"mean and scale: expected {n} numbers each")
    return mean, scale
