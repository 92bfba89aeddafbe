"""What is timed: a case, its numbers, and how many operations its matrix products take."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from unrolled.equations.expressions import Expression
from unrolled.equations.table import Table
from unrolled.network import Network

Array = Any
Answer = tuple[float, dict[str, Array]]  # the loss, and the gradient of each parameter by name

CELLS = ("rnn", "gru_reset_after", "lstm")  # those that other libraries have too
SHAPES = (
    (27, 100, 27, 1, 30), (27, 100, 27, 32, 50), (64, 64, 64, 16, 100), (64, 128, 64, 32, 100),
    (64, 256, 64, 64, 100), (64, 512, 64, 64, 100), (16, 16, 4, 1, 1000), (128, 1024, 128, 32, 50),
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """Loss and all parameter gradients of a cell, with softmax, cross-entropy and a target a step."""

    cell: str
    n_x: int
    n_a: int
    n_y: int
    m: int
    T: int
    dtype: str

    @property
    def sizes(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in ("n_x", "n_a", "n_y", "m", "T")}

    def __str__(self) -> str:
        return f"{self.cell} {self.dtype} ({', '.join(map(str, self.sizes.values()))})"


class Problem:
    """The numbers of a case, the same for all who are timed.

    X (n_x, m, T) is standard normal in Fortran order, Y (m, T) are labels, the state starts at 0,
    and no bias is 0, for a bias that is 0 would hide where it is added.
    """

    def __init__(self, case: Case):
        self.case = case
        random = np.random.default_rng(0)
        shape = (case.n_x, case.m, case.T)
        self.X = np.asfortranarray(random.standard_normal(shape), dtype=case.dtype)
        self.Y = np.asfortranarray(random.integers(0, case.n_y, (case.m, case.T)))
        self.parameters = dict(self._new("auto", case.dtype).parameters)
        for name, value in self.parameters.items():
            if name.startswith("b_"):
                value += 0.1 * random.standard_normal(value.shape)

    def network(self, engine: str, dtype: str | None = None) -> Network:
        """Return a network of the case on an engine, with the problem's parameters."""
        net = self._new(engine, dtype or self.case.dtype)
        for name, value in self.parameters.items():
            net.parameters[name][...] = value
        return net

    def _new(self, engine: str, dtype: str) -> Network:
        c = self.case
        return Network(c.cell, n_x=c.n_x, n_a=c.n_a, n_y=c.n_y, dtype=dtype, engine=engine)

    @cached_property
    def flops(self) -> int:
        """The floating-point operations of the matrix products of one call."""
        return count_flops(self.network("auto").table, self.case.sizes)

    def answer(self) -> Answer:
        """Return what everyone has to find: by the reference engine, in float64."""
        return self.network("reference", "float64").loss_and_gradients(
            self.X.astype("float64"), self.Y
        )


def count_flops(table: Table, sizes: Mapping[str, int]) -> int:
    """Return 2·rows·columns·inner summed over every matrix product of all T steps.

    The products are those of the recorded equations, forward and backward; dx is left out, for a
    first layer hands nothing back.
    """
    equations = [e for e in table.of("forward") + table.of("backward") if e.name != "dx"]
    nodes = (node for e in equations for node in e.expression.nodes())
    products = (node for node in nodes if node.operation == "product")
    return sizes["T"] * sum(_product_flops(product, sizes) for product in products)


def _product_flops(product: Expression, sizes: Mapping[str, int]) -> int:
    axes = (*product.shape, product.operands[0].shape[1])
    rows, columns, inner = (axis if isinstance(axis, int) else sizes[axis] for axis in axes)
    return 2 * rows * columns * inner
