"""What is said of a check beside its findings: conventions, what was proved, what could not be tested."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from unrolled import notation
from unrolled.checking.conventions import Choice
from unrolled.checking.locating.runs import Run, Runner
from unrolled.checking.problems import Counting

_COUNTED = {
    (): "summed over time and over the batch", ("m",): "summed over time and averaged over the batch",
    ("m", "T"): "averaged over all targets", ("T",): "averaged over time and summed over the batch",
}  # fmt: skip
_GIVEN = ("x", "y", "a0", "c0")
_VARIANTS = {
    "gru_reset_after": "the reset gate acts after the product",
    "gru_keep": "the update gate keeps: a = (1 − u) c̃ + u a_prev",
    "gru_keep_reset_after": "the update gate keeps, and the reset gate acts after the product",
}


def said_conventions(choice: Choice) -> tuple[str, ...]:
    """Return the choices that the code makes, a phrase for each."""
    conventions, plan = choice.conventions, choice.plan
    said = [plan.describe()]
    if conventions.counting is not None:
        said.append(f"the loss is {counted(conventions.counting)}")
    if conventions.cell:
        said.append(next(v for k, v in _VARIANTS.items() if k == _stem(conventions.cell)))
    if conventions.activation not in (None, "tanh"):
        said.append(f"the activation is {conventions.activation}")
    if conventions.output != "softmax":
        said.append(f"the output is {conventions.output}")
    if len(plan.readings) > 1:
        order = "[x; a]" if choice.reading.x_first else "[a; x]"
        said.append(
            f"stacked weights: gates in the order {', '.join(choice.reading.gates)}; {order}"
        )
    return tuple(said)


def counted(counting: Counting) -> str:
    """Return how targets are counted, in words."""
    of = " times ".join(counting.over)
    how = _COUNTED.get(counting.over, f"divided by {of}")
    return how if counting.factor == 1.0 else f"{how}, times {counting.factor:g}"


def _stem(cell: str) -> str:
    return cell.replace("\\", "/").rpartition("/")[2].removesuffix(".py")


@dataclasses.dataclass(frozen=True)
class Proof:
    """What was right on one problem: its kind and sizes, the results, by how much they and the
    reference's own slopes were off.
    """

    kind: str
    sizes: Mapping[str, int]
    names: tuple[str, ...]
    error: float
    slope_error: float


def proof(runner: Runner, run: Run, slope_error: float) -> Proof:
    """Return what a run without a mistake proves."""
    judged = (output.quantity for output, expected, _ in run.judged if expected is not None)
    names = dict.fromkeys(name for name in judged if name not in _GIVEN)
    problem = runner.problem
    return Proof(problem.kind, problem.sizes, tuple(names), run.worst, slope_error)


def said_proofs(proofs: Sequence[Proof]) -> tuple[str, ...]:
    """Return what was proved: for each set of results, on which problems and to how many digits."""
    together: dict[tuple[str, ...], list[Proof]] = {}
    for one in proofs:
        together.setdefault(one.names, []).append(one)
    said = []
    for names, ones in together.items():
        digits = min(int(-np.log10(max(max(p.error for p in ones), 1e-16))), 15)
        listed = ", ".join(notation.entry(name).text for name in names)
        where = "; ".join(_said_problem(one) for one in ones)
        said.append(f"{listed}: right to {digits} digits on {where}")
    if proofs:
        worst = max(one.slope_error for one in proofs)
        said.append(f"the reference itself agrees with complex step to {worst:.0e} on all of them")
    return tuple(said)


def _said_problem(one: Proof) -> str:
    sizes = ", ".join(f"{name} = {size}" for name, size in one.sizes.items())
    return f"{one.kind} ({sizes})" if one.kind in ("plain", "other sizes") else one.kind


def untested(choice: Choice, runner: Runner, run: Run) -> Iterable[str]:
    """Yield what a file does not give, so that it could not be judged."""
    given = {o.quantity for o in run.outcome.outputs}
    for state in runner.truth.initial:
        if state not in choice.plan.given:
            yield f"{state}0 is always zero here, so that nothing says whether another one would be used"
    if not any(q[:1] == "d" for q in given):
        yield "there is no backward pass that could be run"
    elif not any(q[:2] == "dx" for q in given):
        yield "the gradient of x is not returned, so it is not judged"
