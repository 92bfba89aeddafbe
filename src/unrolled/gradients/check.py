"""The gradient check: hand-derived gradients against complex step and central differences.

No absolute tolerance decides. Errors are relative to the largest entry checked, and the rounding in
it is measured, not guessed. Where rounding is as large as the gradient, or an entry sits
on a kink, or the gradient is exactly 0, nothing is proved, and the report says so instead of "right".
"""

import dataclasses
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.batch import Batch
from unrolled.errors import whole_number
from unrolled.gradients.reasons import Reasons
from unrolled.gradients.shaken import EPSILON
from unrolled.gradients.slopes import CentralDifference, LossFunction, Values, central_difference
from unrolled.network import Network

Array = Any

_LIMIT = 1e-9  # an error below it is rounding, however little is expected
_ROUNDING_FACTOR = 10.0  # errors up to this many times the measured rounding are rounding
_UNTESTABLE = 1e-4  # with so much rounding nothing is proved
_CENTRAL_LIMIT = 1e-5
_RANGE = (1e-200, 1e80)  # gradients outside underflow or overflow in the complex step
_NAN = float("nan")
_SOME = 10  # probes are enough to tell how complex step rounds
_TOGETHER = "all together"
_HEADS = ("gradient", "shape", "checked", "largest", "complex", "central", "rounding", "")


@dataclasses.dataclass(frozen=True)
class Row:
    """The result for one quantity.

    `checked` entries (or directions) were compared, `on_kink` more could not be. The errors against
    complex step and central differences, and the rounding, are relative to `scale`, the largest
    entry compared; NaN where there is none, or where differences drown in rounding. `verdict` is
    "right", "wrong" or "not testable", `note` why.
    """

    name: str
    shape: tuple[int, ...]
    checked: int
    on_kink: int = 0
    scale: float = 0.0
    complex_error: float = _NAN
    central_error: float = _NAN
    rounding: float = _NAN
    verdict: str = "not testable"
    note: str = ""


class GradientReport:
    """What a gradient check found: a row for each quantity, and one for all of them together."""

    def __init__(self, rows: list[Row], title: str):
        self.rows = rows
        self.title = title

    @property
    def verdict(self) -> str:
        """Return "wrong" if anything is, "right" if nothing is and something was proved, else
        "not testable".
        """
        found = {row.verdict for row in self.rows}
        return next(v for v in ("wrong", "right", "not testable") if v in found)

    @property
    def passed(self) -> bool:
        """Whether everything was proved: nothing is wrong, and nothing could not be tested."""
        return all(row.verdict == "right" and not row.on_kink for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data; what is not finite is a string."""
        rows = [dataclasses.asdict(row) for row in self.rows]
        for row in rows:
            row["shape"] = list(row["shape"])
            for name in ("scale", "complex_error", "central_error", "rounding"):
                row[name] = row[name] if np.isfinite(row[name]) else str(row[name])
        return {"schema": 1, "verdict": self.verdict, "passed": self.passed,
                "title": self.title.splitlines()[:2], "rows": rows}  # fmt: skip

    def __repr__(self) -> str:
        body = []
        for row in self.rows:
            errors = map(_figure, (row.complex_error, row.central_error, row.rounding))
            shape = str(row.shape) if row.shape else ""
            body.append(
                (row.name, shape, str(row.checked), f"{row.scale:.3g}", *errors, row.verdict)
            )
        named: dict[str, list[str]] = {}
        for row in self.rows:
            named.setdefault(row.note, []).append(row.name)
        notes = [
            textwrap.fill(f"{', '.join(names)}: {note}", 78, subsequent_indent="  ")
            for note, names in named.items()
            if note
        ]
        lines = [self.title, *notation.columns([_HEADS, *body]), *notes, self._summary()]
        return "\n".join(lines)

    def _summary(self) -> str:
        rows = [row for row in self.rows if row.name != _TOGETHER]
        total, verdicts = len(rows), [row.verdict for row in rows]
        if self.verdict == "wrong":
            wrong = verdicts.count("wrong")
            return f"WRONG: {wrong or 'the sum'} of {total} gradients {'are' if wrong > 1 else 'is'} wrong."
        if "right" not in verdicts:
            return "Nothing was proved: no gradient can be tested here."
        if untestable := verdicts.count("not testable"):
            return (
                f"{total - untestable} of {total} gradients are right; "
                f"{untestable} could not be tested here, and are not proved."
            )
        return f"All {total} gradients are right{'' if self.passed else ', kinks aside'}."


def gradient_check(
    net: Network, X: Array, Y: Array, state: Any = None, lengths: Any = None,
    reduction: str = "mean", entries: int | None = 100, directions: int = 3, seed: int = 0,
    dropout_seed: int | None = None,
) -> GradientReport:  # fmt: skip
    """Prove the gradients of a network on a float64 copy of it.

    Args:
        net, X, Y, state, lengths, reduction, dropout_seed: as in `Network.loss_and_gradients`.
        entries: how many entries of each quantity to check, drawn at random; None checks all.
        directions: how many random directions to check, in which everything changes at once.
        seed: of what is drawn.

    Returns a GradientReport on every parameter, the initial states and (if floating) the input.
    Raises UnrolledError for bad input.
    """
    _check_counts(entries=entries, directions=directions, seed=seed)
    net = net.astype("float64")
    with np.errstate(all="ignore"):  # what overflows is reported, not warned of
        tape = net.tape(X, Y, state, lengths, reduction, dropout_seed)
        batch = tape.batch
        gradients = tape.gradients or {}
        judge = _Judge(LossFunction(net, batch), tape.loss, gradients, seed)
        reasons = Reasons(net.table, tape)
        rows = [judge.quantity(name, entries) for name in judge.function.values]
        for k, row in enumerate(rows):
            if row.verdict == "not testable" and not row.note:
                why = reasons.why(row.name, gradients[row.name])
                rows[k] = dataclasses.replace(row, note=why)
        if directions:
            rows.append(judge.together(directions))
    return GradientReport(rows, _title(net, batch, tape.loss))


class _Judge:
    """Compares the gradients of one run with the slopes of its loss."""

    def __init__(self, function: LossFunction, loss: Any, gradients: Any, seed: int):
        self.function, self.loss, self.gradients = function, float(loss), gradients
        self.random = np.random.default_rng(seed)
        self.shaken = [function.shaken(self.random) for _ in range(4)]
        losses, self.shaken_gradients = zip(*(s.gradients() for s in self.shaken), strict=True)
        moved = float(np.max(np.abs(np.array(losses) - self.loss)))
        self.loss_rounding = max(moved, EPSILON * abs(self.loss)) if np.isfinite(moved) else np.inf

    def quantity(self, name: str, entries: int | None) -> Row:
        """Check entries of one quantity, one at a time."""
        value = self.function.values[name]
        row = Row(name, value.shape, 0)
        return self._judged(row, list(self._entries(name, value, entries)))

    def together(self, directions: int) -> Row:
        """Check random directions in which everything changes, each by its own size."""
        probes = [
            {
                name: max(1.0, np.max(np.abs(value))) * self.random.standard_normal(value.shape)
                for name, value in self.function.values.items()
            }
            for _ in range(directions)
        ]
        row = self._judged(Row(_TOGETHER, (), 0), probes)
        if row.verdict == "not testable" and not row.note:
            row = dataclasses.replace(row, note="rounding is as large as its slopes")
        return row

    def _entries(self, name: str, value: Array, entries: int | None) -> Iterator[Values]:
        chosen = np.arange(value.size)
        if entries is not None and entries < value.size:
            chosen = np.sort(self.random.choice(value.size, entries, replace=False))
        for k in chosen:
            direction = np.zeros(value.shape)
            direction[np.unravel_index(k, value.shape)] = 1.0
            yield {name: direction}

    def _judged(self, row: Row, probes: list[Values]) -> Row:
        """Return the row with what comparing in every probed direction says."""
        hand = np.array([_along(self.gradients, probe) for probe in probes])
        exact = np.array([self.function.complex_step(probe) for probe in probes])
        row = dataclasses.replace(row, checked=len(probes), scale=_largest(hand, exact))
        if not np.isfinite(self.loss) or not np.isfinite(exact).all():
            return dataclasses.replace(
                row, note=f"the loss is {self.loss:g}, or its slope no number"
            )
        if not np.isfinite(hand).all():
            note = f"its gradient is {hand[~np.isfinite(hand)][0]}, its slope is finite"
            return dataclasses.replace(row, verdict="wrong", note=note)
        central = [
            central_difference(self.function, probe, self.loss, self.loss_rounding, slope)
            for probe, slope in zip(probes, exact, strict=True)
        ]
        if kinks := sum(slope.on_kink for slope in central):
            kind = "entries" if row.shape else "directions"
            note = f"{kinks} of {len(probes)} {kind} tried meet a kink: not testable"
            row = dataclasses.replace(row, on_kink=kinks, note=note)
        clear = [k for k, slope in enumerate(central) if not slope.on_kink]
        return self._compared(
            row, [probes[k] for k in clear], hand[clear], exact[clear], [central[k] for k in clear]
        )

    def _compared(
        self, row: Row, probes: list[Values], hand: Array, exact: Array,
        central: list[CentralDifference],
    ) -> Row:  # fmt: skip
        """Return the row with the errors of what does not sit on a kink."""
        scale = _largest(hand, exact)
        row = dataclasses.replace(row, checked=len(probes), scale=scale)
        if scale == 0:
            return row
        if not _RANGE[0] < scale < _RANGE[1]:
            return dataclasses.replace(row, note="its size is beyond what complex step resolves")
        slopes = np.array([slope.slope for slope in central])
        doubts = np.array([slope.uncertainty for slope in central]) / scale
        errors, central_errors = np.abs(hand - exact) / scale, np.abs(hand - slopes) / scale
        rounding = self._rounding(probes, hand, exact) / scale
        return self._verdict(row, rounding, errors, central_errors, doubts)

    def _verdict(
        self, row: Row, rounding: float, errors: Array, central_errors: Array, doubts: Array
    ) -> Row:
        telling = doubts < 1e-2
        central_wrong = bool((central_errors > _CENTRAL_LIMIT + doubts)[telling].any())
        limit = max(_LIMIT, _ROUNDING_FACTOR * rounding) if np.isfinite(rounding) else np.inf
        verdict = "not testable" if limit > _UNTESTABLE else "right"
        if errors.max() > limit or central_wrong:
            verdict = "wrong"
        return dataclasses.replace(
            row, complex_error=float(errors.max()), rounding=rounding, verdict=verdict,
            central_error=float(central_errors[telling].max()) if telling.any() else _NAN,
        )  # fmt: skip

    def _rounding(self, probes: list[Values], hand: Array, exact: Array) -> float:
        """The largest change when last bits are shaken, of the gradients and of complex step."""
        by_hand = [
            abs(_along(gradients, probe) - slope)
            for gradients in self.shaken_gradients
            for probe, slope in zip(probes, hand, strict=True)
        ]
        by_complex_step = [
            abs(self.shaken[0].complex_step(probe) - slope)
            for probe, slope in zip(probes[:_SOME], exact, strict=False)
        ]
        return float(np.max([*by_hand, *by_complex_step]))


def _largest(*values: Array) -> float:
    return max((float(np.max(np.abs(v))) for v in values if v.size), default=0.0)


def _along(gradients: Values, direction: Values) -> float:
    return float(sum(np.sum(gradients[name] * d) for name, d in direction.items()))


def _check_counts(**counts: Any) -> None:
    for name, count in counts.items():
        if name != "entries" or count is not None:
            whole_number(name, count, 1 if name == "entries" else 0)


def _title(net: Network, batch: Batch, loss: Any) -> str:
    step = net.architecture.step
    g = f" ({step.activation.name})" if step.activation else ""
    sizes = {**net.sizes, "m": batch.m, "T": batch.T}
    return (
        f"{step.cell.name}{g}, {step.prediction.title}, {step.loss.part.name}\n"
        f"{', '.join(f'{name} = {size}' for name, size in sizes.items())}, loss {loss:.6g}\n"
        "Errors against complex step and central differences, and measured rounding,\n"
        "relative to the largest entry that was checked:\n"
    )


def _figure(value: float) -> str:
    return "—" if np.isnan(value) else f"{value:.1e}"
