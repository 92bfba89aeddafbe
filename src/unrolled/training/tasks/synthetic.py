"""The adding problem and the copy task: what can be remembered over T steps?"""

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from unrolled.data.baselines import blind_copying_loss
from unrolled.data.synthetic import SAID, SYMBOLS, draw_adding, draw_copying
from unrolled.data.windows import Drawn, Source
from unrolled.errors import whole_number
from unrolled.network import Network
from unrolled.training.evaluation import mean_loss
from unrolled.training.tasks import Dataset, Measures, Usual

Array = Any
_HELD_BACK = 1000  # sequences


@dataclass(frozen=True)
class OverSteps:
    """What both tasks are: something to be remembered over T steps, at least `shortest`."""

    T: int

    kind: ClassVar[str]
    shortest: ClassVar[int]
    higher: ClassVar[bool] = False
    ahead: ClassVar[bool] = False

    @classmethod
    def made(cls, settings: Mapping[str, Any]) -> Self:
        """Return the task that `settings` are of."""
        return cls(whole_number("T", settings["T"], cls.shortest))

    @property
    def settings(self) -> dict[str, Any]:
        """What makes the task again."""
        return {"kind": self.kind, "T": self.T}

    def write(self, net: Network, count: int | None = None) -> list[str]:
        """Nothing: it says numbers."""
        return []


@dataclass(frozen=True)
class Adding(OverSteps):
    """To add the two of T numbers that are marked."""

    kind: ClassVar[str] = "adding"
    measure: ClassVar[str] = "mse"
    shortest: ClassVar[int] = 2
    usual: ClassVar[Usual] = Usual(32, 2000, 0.01, "constant")  # it breaks through all of a sudden

    @property
    def sizes(self) -> dict[str, Any]:
        """n_x, n_y and output of a network."""
        return {"n_x": 2, "n_y": 1, "output": "linear"}

    @property
    def references(self) -> dict[str, Measures]:
        """What is reached without memory."""
        return {"always saying 1": {"loss": 1 / 12, "mse": 1 / 6}}

    @property
    def fact(self) -> str:
        """What it is, in a line."""
        return f"the adding problem over {self.T} steps (arXiv:1504.00941), new sequences in each update"

    def draw(self, random: np.random.Generator, m: int) -> tuple[Array, Array]:
        """Draw m sequences."""
        return draw_adding(random, m, self.T)

    def measures(self, net: Network, source: Source) -> Measures:
        """Return the loss, and the mean squared error, which is twice that."""
        loss = mean_loss(net, source)
        return {"loss": loss, "mse": 2 * loss}


@dataclass(frozen=True)
class Copying(OverSteps):
    """To say ten symbols again that came T steps before."""

    kind: ClassVar[str] = "copying"
    measure: ClassVar[str] = "loss"
    shortest: ClassVar[int] = 1
    usual: ClassVar[Usual] = Usual(128, 3000, 0.007, "cosine")

    @property
    def sizes(self) -> dict[str, Any]:
        """n_x, n_y and output of a network."""
        return {"n_x": SYMBOLS + 2, "n_y": SYMBOLS + 2, "output": "softmax"}

    @property
    def references(self) -> dict[str, Measures]:
        """What is reached by chance, and without memory."""
        blind = blind_copying_loss(self.T, SYMBOLS, SAID)
        n = SYMBOLS + 2
        return {f"chance, 1 of {n}": {"loss": math.log(n)}, "one without memory": {"loss": blind}}

    @property
    def fact(self) -> str:
        """What it is, in a line."""
        return f"the copy task over {self.T} steps (arXiv:1511.06464), new sequences in each update"

    def draw(self, random: np.random.Generator, m: int) -> tuple[Array, Array]:
        """Draw m sequences."""
        return draw_copying(random, m, self.T)

    def measures(self, net: Network, source: Source) -> Measures:
        """Return the loss in nats, over all T + 20 steps."""
        return {"loss": mean_loss(net, source)}


def synthetic_dataset(task: Adding | Copying, m: int, seed: int) -> Dataset:
    """Return a task as data: drawn anew in every update, and a thousand sequences held back."""
    training = Drawn(task.draw, m, seed=seed)
    validation = Drawn(functools.partial(_held_back, task), _HELD_BACK // 4, 4, seed)
    facts = (task.fact, f"{_HELD_BACK:,} sequences held back")
    return Dataset(task, training, validation, task.references, facts)


def _held_back(task: Adding | Copying, random: np.random.Generator, m: int) -> tuple[Array, Array]:
    """Draw what no training draws: from numbers that follow those of the training by a jump."""
    bits: Any = random.bit_generator
    return task.draw(np.random.Generator(bits.jumped()), m)
