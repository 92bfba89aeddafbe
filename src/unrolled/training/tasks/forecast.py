"""A series of numbers: what comes next?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from unrolled.data.baselines import autoregression, persistence
from unrolled.data.scaling import mean_and_scale, standard
from unrolled.data.tables import Series
from unrolled.data.windows import Source, Stream
from unrolled.errors import UnrolledError
from unrolled.network import Network
from unrolled.training.evaluation import predictions
from unrolled.training.tasks import Dataset, Measures, Usual, mean_and_scale_of, texts

Array = Any
_WARM = 500  # steps before the held-back ones that only bring the state up
_ORDER = 9  # of the autoregression, at most


@dataclass(frozen=True)
class Forecast:
    """To predict the `targets` among the `columns` one step ahead.

    From all columns `mean` is taken, and they are divided by `scale` (n,).
    """

    columns: tuple[str, ...]
    targets: tuple[str, ...]
    mean: Array
    scale: Array

    kind: ClassVar[str] = "forecast"
    measure: ClassVar[str] = "rmse"
    higher: ClassVar[bool] = False
    ahead: ClassVar[bool] = True
    usual: ClassVar[Usual] = Usual(16, 300, 0.01, "cosine")

    @classmethod
    def made(cls, settings: Mapping[str, Any]) -> "Forecast":
        """Return the task that `settings` are of."""
        columns, targets = (texts(settings[name]) for name in ("columns", "targets"))
        if not targets or not set(targets) <= set(columns):
            raise ValueError(f"the targets {targets} among the columns {columns}")
        return cls(columns, targets, *mean_and_scale_of(settings, len(columns)))

    @property
    def settings(self) -> dict[str, Any]:
        """What makes the task again."""
        return {
            "kind": self.kind, "columns": list(self.columns), "targets": list(self.targets),
            "mean": self.mean.tolist(), "scale": self.scale.tolist(),
        }  # fmt: skip

    @property
    def sizes(self) -> dict[str, Any]:
        """n_x, n_y and output of a network."""
        return {"n_x": len(self.columns), "n_y": len(self.targets), "output": "linear"}

    @property
    def places(self) -> Array:
        """Which columns the targets are."""
        return np.array([self.columns.index(name) for name in self.targets])

    def standard(self, series: Series) -> Array:
        """Return the values (L, n) as the network sees them."""
        if series.columns != self.columns:
            raise UnrolledError(
                f"the columns are {', '.join(series.columns[:20])}: expected those of the run, "
                f"{', '.join(self.columns[:20])}"
            )
        return standard(series.values, self.mean, self.scale)

    def source(self, values: Array, m: int, T: int | None, warm: int = 0) -> Stream:
        """Return the windows of standard values (L, n), each step's target the one after it."""
        if len(values) < 2:
            raise UnrolledError("the series has one step: expected at least 2")
        T = 32 if T is None else T
        side_by_side = max(1, min(m, (len(values) - 1) // (2 * T)))
        return Stream(values[:-1], values[1:][:, self.places], side_by_side, T, warm)

    def measures(self, net: Network, source: Source) -> Measures:
        """Return the loss, and the root of the mean squared error in the series' own unit."""
        squares, count = 0.0, 0
        for y_hat, Y in predictions(net, source):
            squares += ((y_hat - Y) ** 2).sum(axis=1)
            count += Y.shape[1]
        return self.in_units(squares / count)

    def in_units(self, squares: Array) -> Measures:
        """Return the measures of mean squares (n_y,) of standard values; several targets have one
        each, and what counts is the root of their mean, in standard deviations.
        """
        scale = self.scale[self.places]
        each = {
            n: math.sqrt(s) * float(k) for n, s, k in zip(self.targets, squares, scale, strict=True)
        }
        loss = {"loss": 0.5 * float(squares.sum())}
        if len(each) == 1:
            return loss | {"rmse": next(iter(each.values()))}
        named = {f"rmse of {name}": value for name, value in each.items()}
        return loss | {"rmse": math.sqrt(squares.mean())} | named

    def write(self, net: Network, count: int | None = None) -> list[str]:
        """Nothing: it forecasts numbers."""
        return []


def forecast_dataset(series: Series, m: int, T: int | None, share: float, said: str) -> Dataset:
    """Return a series as data, with a share of its end held back."""
    L = len(series.values)
    held = min(int((L - 1) * share), L - 2)
    kept = series.values[: L - held]
    if (kept == kept[0]).all():
        raise UnrolledError("the series never changes: there is nothing to forecast")
    task = Forecast(series.columns, series.targets, *mean_and_scale(kept))
    values = task.standard(series)
    training, validation = task.source(values[: L - held], m, T), None
    references: dict[str, Measures] = {}
    if held:
        warm = min(_WARM, L - held - 1)
        validation = task.source(values[L - held - 1 - warm :], 1, T, warm)
        references = _references(task, values, held)
    also = f", {held:,} held back" if held else ""
    facts = (
        said,
        f"{L - held:,} steps to learn from{also}, {len(task.columns)} column{'s' * (len(task.columns) > 1)}",
    )
    return Dataset(task, training, validation, references, facts)


def _references(task: Forecast, values: Array, held: int) -> dict[str, Measures]:
    """What simple forecasts reach on the steps held back."""
    stays = persistence(values, task.places, held)
    references = {"the value before": task.in_units(stays)}
    order = min(_ORDER, (len(values) - held) // (4 * len(task.columns)))
    if order > 0:
        linear = autoregression(values, task.places, held, order)
        references[f"a linear model of {order} values"] = task.in_units(linear)
    return references
