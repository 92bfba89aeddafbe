"""Which of their trainings runs, and how it wants to be called: one way after another is tried."""

import time
from collections.abc import Callable
from typing import Any

from unrolled.checking.procedures.given import Way
from unrolled.checking.procedures.iterations import iterations
from unrolled.checking.procedures.roles import Function
from unrolled.checking.procedures.running import Program, Training, put, run_function, run_top_level

SECONDS = 6.0  # no other way is tried after that
_Tried = tuple[Way, Training]


def run_training(
    program: Program, wanted: dict[str, Any] | None = None
) -> tuple[Training | None, list[str]]:
    """Run the first of their trainings that runs; return it, and why others could not be run.

    `wanted` are arguments by their role, for the training and for the object that it is a method of.
    Of several ways to call one, the first that shows two iterations is taken, and kept for the next run.
    What stops in a sampler, which a training calls to show how far it is, is run without it.
    """
    found, missed = _run_training(program, wanted)
    failed = {name for _, training in program.crashed for name, _ in training.trace.failed}
    samplers = [f for f in program.having("sample") if f.name in failed]
    if found is None and samplers:
        kept = program.instead
        program.instead = kept | {f.name: _silent for f in samplers}
        try:
            found, missed = _run_training(program, wanted)
        finally:
            program.instead = kept
        for function in samplers if found else ():
            assert found is not None
            holder = found.namespace.get(function.owner) if function.owner else None
            now = vars(holder)[function.name] if holder else found.namespace[function.name]
            put(found.namespace, holder, function.name, now.theirs)
    return found, missed


def _silent(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that returns no text, and holds the one it stands for."""

    def silent(*args: Any, **kwargs: Any) -> str:
        return ""

    silent.theirs = function  # type: ignore[attr-defined]
    return silent


def _run_training(
    program: Program, wanted: dict[str, Any] | None
) -> tuple[Training | None, list[str]]:
    missed: list[str] = []
    program.fresh()
    until = time.monotonic() + SECONDS
    for function in [*program.having("train"), *program.having("optimize")]:
        found = _first(program, function, wanted or {}, missed, until)
        if found:
            program.way = found[0]
            return found[1], missed
    try:
        return run_top_level(program), missed
    except Exception as error:
        missed.append(f"the loop at top level could not be run: {error}")
    return None, missed


def _first(
    program: Program, function: Function, wanted: dict[str, Any], missed: list[str], until: float
) -> _Tried | None:
    """The first way to call a function that shows two iterations, else the first that runs at all."""
    reasons: list[str] = []
    runs: list[_Tried] = []
    kept = program.way
    for way in program.ways(function):
        if reasons and time.monotonic() > until:
            break
        program.way = way
        training = _run(program, function, wanted, reasons)
        if training and len(iterations(program, training)) > 1:
            return way, training
        runs += [(way, training)] if training else []
    program.way = kept
    missed += [] if runs else reasons[:1]
    if runs and runs[0][0].roles and not iterations(program, runs[0][1]):
        name = next(iter(runs[0][0].roles))
        missed.append(f"`{function.name}` was not run: its argument '{name}' is not understood")
        return None
    return runs[0] if runs else None


def _run(
    program: Program, function: Function, wanted: dict[str, Any], reasons: list[str]
) -> Training | None:
    """Return the training where it runs; else add why it does not."""
    name = function.name
    try:
        training = run_function(program, function, wanted)
    except KeyError as error:
        reasons.append(f"`{name}` was not run: its argument {error} is not understood")
        return None
    except Exception as error:
        reasons.append(f"`{name}` could not be run: {error}")
        return None
    if training.trace.stopped in ("", "enough"):
        return training
    reasons.append(f"`{name}` stopped: {training.trace.stopped}")
    if training.trace.failed:
        program.crashed.append((program.way, training))
    return None
