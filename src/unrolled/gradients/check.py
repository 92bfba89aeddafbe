"""The gradient check: hand-derived gradients against complex step and central differences.

Complex step: L(θ + ih) has the derivative in its imaginary part, with no difference of nearly equal
numbers, so it is exact to rounding for h = 1e−30 (Squire and Trapp 1998, SIAM Review 40:110-112).
Central differences know nothing of complex numbers and are good to six to nine digits.

No absolute tolerance decides. Errors are relative to the largest entry of the gradient, and the
rounding in it is measured: the same run is done again with the last bit of every named quantity
shaken. Where rounding is as large as the gradient, or an entry sits on a kink, or the gradient is
exactly 0, nothing is proved, and the report says so instead of "right".
"""

import dataclasses
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.activations import ACTIVATIONS
from unrolled.batch import Batch
from unrolled.engines import reference
from unrolled.equations.printers import TextPrinter
from unrolled.equations.step import Step
from unrolled.equations.table import Table
from unrolled.inputs import make_batch
from unrolled.network import Network
from unrolled.parts import Function, Part
from unrolled.tape import Tape

Array = Any
Values = dict[str, Array]

_COMPLEX_STEP = 1e-30
_DIFFERENCE = 6e-6  # the cube root of float64's rounding: where truncation and rounding balance
_NEAR = 64.0  # a second, smaller step tells truncation from error, and a kink near from a kink here
_LIMIT = 1e-9  # an error below it is rounding, however little is expected
_ROUNDING_FACTOR = 100.0  # errors up to this many times the measured rounding are rounding
_UNTESTABLE = 1e-4  # with so much rounding nothing is proved
_CENTRAL_LIMIT = 1e-5
_KINK = 1e-3  # slopes left and right that differ by this much of the gradient's scale
_KINKED = {"relu", "leaky_relu", "where", "positive"}
_EPSILON = float(np.finfo(np.float64).eps)


@dataclasses.dataclass(frozen=True)
class Row:
    """The result for one quantity. Errors and rounding are relative to `scale`, the gradient's
    largest entry; `central_error` is NaN where differences drown in rounding.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    scale: float
    complex_error: float
    central_error: float
    rounding: float
    verdict: str
    note: str = ""


class GradientReport:
    """What a gradient check found: a row for each quantity, and one for all of them together."""

    def __init__(self, rows: list[Row], title: str):
        self.rows = rows
        self.title = title

    @property
    def verdict(self) -> str:
        """Return "wrong" if anything is; "right" if nothing is and something was proved; else
        "not testable".
        """
        found = {row.verdict for row in self.rows}
        return next(v for v in ("wrong", "right", "not testable") if v in found)

    @property
    def passed(self) -> bool:
        """Whether every gradient was proved: none is wrong, and none could not be tested."""
        return all(row.verdict == "right" for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data; NaN is the string "nan"."""
        rows = [dataclasses.asdict(row) for row in self.rows]
        for row in rows:
            row["shape"] = list(row["shape"])
            row |= {
                k: str(v) for k, v in row.items() if isinstance(v, float) and not np.isfinite(v)
            }
        return {"schema": 1, "verdict": self.verdict, "passed": self.passed, "title": self.title,
                "rows": rows}  # fmt: skip

    def __repr__(self) -> str:
        heads = (
            "gradient",
            "shape",
            "checked",
            "largest",
            "complex",
            "central",
            "rounding",
            "",
        )
        body = [
            (
                row.name, str(row.shape) if row.shape else "", str(row.checked), f"{row.scale:.3g}",
                _figure(row.complex_error), _figure(row.central_error), _figure(row.rounding),
                row.verdict,
            )
            for row in self.rows
        ]  # fmt: skip
        lines = notation.columns([heads, *body])
        notes = [f"{row.name}: {row.note}" for row in self.rows if row.note]
        return "\n".join([self.title, *lines, *notes, self._summary()])

    def _summary(self) -> str:
        count = {
            v: sum(r.verdict == v for r in self.rows) for v in ("right", "wrong", "not testable")
        }
        if count["wrong"]:
            return f"WRONG: {count['wrong']} of {len(self.rows)} gradients are wrong."
        if not count["right"]:
            return "Nothing was proved: no gradient can be tested here."
        if count["not testable"]:
            return (
                f"{count['right']} of {len(self.rows)} gradients are right; "
                f"{count['not testable']} could not be tested here, and are not proved."
            )
        return f"All {len(self.rows)} gradients are right."


def gradient_check(
    net: Network, X: Array, Y: Array, state: Any = None, lengths: Any = None,
    reduction: str = "mean", entries: int | None = 100, directions: int = 3, seed: int = 0,
) -> GradientReport:  # fmt: skip
    """Prove the gradients of a network on a float64 copy of it.

    Args:
        net, X, Y, state, lengths, reduction: as in `Network.loss_and_gradients`.
        entries: how many entries of each quantity to check, drawn at random; None checks all.
        directions: how many random directions to check, in which everything changes at once.
        seed: of what is drawn.

    Returns a GradientReport on every parameter, the initial states and (if floating) the input.
    Raises UnrolledError for bad input.
    """
    net = net.astype("float64")
    loss, gradients = net.loss_and_gradients(X, Y, state, lengths, reduction, inputs=True)
    problem = _Problem(net, make_batch(
        net.step, net.sizes, net.dtype, X, state, Y, reduction))  # fmt: skip
    random = np.random.default_rng(seed)
    shaken = [problem.shaken_gradients(random) for _ in range(4)]
    reasons = _Reasons(net.table, net.tape(X, Y, state, lengths, reduction))
    rows = []
    for name, value in problem.values.items():
        probes = list(_entry_probes(name, value, entries, random))
        row = _judge(name, problem, loss, gradients, shaken, probes)
        rows.append(reasons.explained(row, gradients[name]))
    together = [_direction(problem.values, random) for _ in range(directions)]
    if together:
        rows.append(_judge("all together", problem, loss, gradients, shaken, together))
    return GradientReport(rows, _title(net, problem.batch, loss))


def _title(net: Network, batch: Batch, loss: float) -> str:
    step = net.step
    g = f" ({step.activation.name})" if step.activation else ""
    sizes = {**net.sizes, "m": batch.m, "T": batch.T}
    return (
        f"{step.cell.name}{g}, {step.prediction.title}, {step.loss.part.name}\n"
        f"{', '.join(f'{name} = {size}' for name, size in sizes.items())}, loss {loss:.6g}\n"
        "Errors against complex step and central differences, and the rounding measured in the\n"
        "gradient, are relative to its largest entry.\n"
    )


class _Problem:
    """The loss as a function of named values: parameters, input, initial states."""

    def __init__(self, net: Network, batch: Batch):
        self.step, self.parameters, self.batch = net.step, net.parameters, batch
        x = {"x": batch.X} if batch.X.ndim == 3 else {}
        states = {f"{s}0": value for s, value in batch.state.items()}
        self.values: Values = {**net.parameters, **x, **states}
        operations = {o for e in net.table.of("forward") for o in e.expression.operations()}
        self.kinked = bool(operations & _KINKED)

    def loss(self, direction: Values, h: complex) -> Any:
        """Return the loss at values + h · direction; h may be imaginary."""
        moved = {name: value + h * direction[name] for name, value in self.values.items()
                 if name in direction}  # fmt: skip
        parameters = {name: moved.get(name, value) for name, value in self.parameters.items()}
        state = {s: moved.get(f"{s}0", value) for s, value in self.batch.state.items()}
        batch = dataclasses.replace(self.batch, X=moved.get("x", self.batch.X), state=state)
        return reference.forward(self.step, parameters, batch, frozenset())[2]

    def shaken_gradients(self, random: np.random.Generator) -> Values:
        """Return the gradients of a run in which every named quantity's last bit is shaken."""
        step = _shaken(self.step, random)
        kept, _, _ = reference.forward(step, self.parameters, self.batch, None)
        found, totals = reference.backward(
            step, self.parameters, self.batch, kept, {}, frozenset({"dx"})
        )
        return totals | {"x": found.arrays["dx"]}


def _shaken(step: Step, random: np.random.Generator) -> Step:
    def shaken(function: Function) -> Function:
        @functools.wraps(function)
        def run(**known: Any) -> dict[str, Any]:
            return {
                name: value * (1 + _EPSILON * random.choice((-1.0, 1.0), value.shape))
                for name, value in function(**known).items()
            }

        return run

    def part(original: Part) -> Part:
        return dataclasses.replace(
            original, forward=shaken(original.forward), backward=shaken(original.backward)
        )

    loss = dataclasses.replace(step.loss, part=part(step.loss.part))
    return dataclasses.replace(
        step,
        cell=part(step.cell),
        layer=part(step.layer),
        prediction=part(step.prediction),
        loss=loss,
    )


def _entry_probes(
    name: str, value: Array, entries: int | None, random: np.random.Generator
) -> Iterator[Values]:
    """Yield directions in which one entry changes; all entries, or as many as asked for."""
    chosen = np.arange(value.size)
    if entries is not None and entries < value.size:
        chosen = np.sort(random.choice(value.size, entries, replace=False))
    for k in chosen:
        direction = np.zeros(value.shape)
        direction[np.unravel_index(k, value.shape)] = 1.0
        yield {name: direction}


def _direction(values: Values, random: np.random.Generator) -> Values:
    return {name: random.standard_normal(value.shape) for name, value in values.items()}


def _along(gradients: Values, direction: Values) -> float:
    return float(sum(np.sum(gradients[name] * d) for name, d in direction.items()))


def _judge(
    name: str, problem: _Problem, loss: float, gradients: Values, shaken: list[Values],
    probes: list[Values],
) -> Row:  # fmt: skip
    """Compare the gradients with complex step and differences in every probed direction."""
    shape = problem.values[name].shape if name in problem.values else ()
    hand = np.array([_along(gradients, probe) for probe in probes])
    complex_step = np.array(
        [problem.loss(p, 1j * _COMPLEX_STEP).imag / _COMPLEX_STEP for p in probes]
    )
    rounding = np.max([[abs(_along(s, p) - g) for p, g in zip(probes, hand, strict=True)]
                       for s in shaken])  # fmt: skip
    scale = float(max(np.max(np.abs(hand)), np.max(np.abs(complex_step))))
    differences = [_Differences(problem, probe, loss, scale) for probe in probes]
    clear = np.array([not d.on_kink for d in differences])
    kinks = int((~clear).sum())
    note = f"{kinks} of {len(probes)} entries checked sit on a kink: not testable" if kinks else ""
    if scale == 0 or not clear.any():
        nan = float("nan")
        return Row(name, shape, len(probes), scale, nan, nan, nan, "not testable", note)
    errors = np.abs(hand - complex_step)[clear] / scale
    central = np.array([d.slope for d in differences])[clear]
    allowed = np.array([d.uncertainty for d in differences])[clear] / scale
    central_errors = np.abs(hand[clear] - central) / scale
    telling = bool((allowed < 1e-2).all())
    limit = max(_LIMIT, _ROUNDING_FACTOR * rounding / scale)
    wrong = errors.max() > limit or (telling and (central_errors > _CENTRAL_LIMIT + allowed).any())
    verdict = "wrong" if wrong else "not testable" if limit > _UNTESTABLE else "right"
    return Row(
        name, shape, int(clear.sum()), scale, float(errors.max()),
        float(central_errors.max()) if telling else float("nan"), float(rounding / scale),
        verdict, note,
    )  # fmt: skip


class _Differences:
    """The slope of the loss in one direction by central differences, and how far to trust it.

    Slopes to the left and to the right that stay apart for a smaller step are a kink here.
    """

    def __init__(self, problem: _Problem, probe: Values, loss: float, scale: float):
        size = max(float(np.max(np.abs(problem.values[name]))) for name in probe)
        wide = _DIFFERENCE * max(1.0, size)
        rounding = _EPSILON * abs(loss)
        slope, jump = self._slope(problem, probe, loss, wide)
        near, near_jump = self._slope(problem, probe, loss, wide / _NEAR)
        near_rounding = 20 * rounding * _NEAR / wide
        self.on_kink = problem.kinked and near_jump > _KINK * scale + near_rounding
        straddles = problem.kinked and jump > _KINK * scale + near_rounding
        self.slope = near if straddles else slope
        self.uncertainty = (
            near_rounding if straddles else 20 * rounding / wide + 4 * abs(slope - near)
        )

    @staticmethod
    def _slope(problem: _Problem, probe: Values, loss: float, h: float) -> tuple[float, float]:
        right = (problem.loss(probe, h) - loss) / h
        left = (loss - problem.loss(probe, -h)) / h
        return float(right + left) / 2, float(abs(right - left))


class _Reasons:
    """Says why a gradient cannot be tested, from the tape and the recorded equations."""

    def __init__(self, table: Table, tape: Tape):
        self.table, self.tape = table, tape
        self.printer = TextPrinter(table)

    def explained(self, row: Row, gradient: Array) -> Row:
        """Return the row with its reason, where it has none and needs one."""
        if row.verdict != "not testable" or row.note:
            return row
        name = "dx" if row.name == "x" else f"d{row.name}"
        if name == f"d{row.name}" and row.name.endswith("0"):
            name = f"d{row.name[:-1]}_prev"
        why = self._zero(name) if not gradient.any() else ""
        what = "its gradient is exactly 0" if why else "rounding is as large as its gradient"
        return dataclasses.replace(
            row, note="; ".join(filter(None, [what, why, self._saturated()]))
        )

    def _zero(self, name: str) -> str:
        """Follow a gradient that is exactly 0 to the equation that makes it so."""
        equation = next(e for e in self.table.of("backward") if e.name == name)
        leaves = [leaf.name for leaf in equation.expression.leaves()]
        for leaf in leaves:
            if leaf in self.table.per_step and not np.any(self.tape[leaf]):
                if any(e.name == leaf for e in self.table.of("backward")):
                    return self._zero(leaf)
                return f"{self.printer.name(leaf)} is 0 at every step"
        left, right = self.printer.equation(equation)
        return f"{left} = {right} is 0 at every step"

    def _saturated(self) -> str:
        """Name every activation of which at least a tenth of the entries pass no gradient on."""
        found = []
        for equation in self.table.of("forward"):
            g = ACTIVATIONS.get(equation.expression.operation)
            if g is None or equation.name == "y_hat":
                continue
            value = self.tape[equation.name]
            share = float(np.mean(np.abs(g.backward(np.ones_like(value), value)) < 8 * _EPSILON))
            if share >= 0.1:
                left, right = self.printer.equation(equation)
                found.append(f"{share:.0%} of {left} = {right} is saturated")
        return "; ".join(found)


def _figure(value: float) -> str:
    return "—" if np.isnan(value) else f"{value:.1e}"


__all__ = ["GradientReport", "Row", "gradient_check"]
