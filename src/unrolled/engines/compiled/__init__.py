"""The compiled engine: machine code made from the schedule of any cell, with Numba.

There is no cell's mathematics here. program.py divides a schedule into phases and says what is in memory,
source.py writes the text of a kernel, building.py compiles it and keeps it on disk, run.py runs it;
products.py, totals.py and elementary.py are what kernels call; LLVM is in vectors.py, tiles.py and cores.py.
What a kernel does not say, as an operation that takes the sequences of a step together, the NumPy engine runs.
"""

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unrolled.engines import Kept, Sequences, gradients, way_back
from unrolled.engines import numpy as fallback
from unrolled.engines.compiled.chain import Chain
from unrolled.engines.compiled.program import Program, UnsupportedError
from unrolled.engines.compiled.source import Source
from unrolled.equations.step import Stage
from unrolled.one_hot import OneHot

if TYPE_CHECKING:  # the compiler is not imported before something is compiled
    from unrolled.engines.compiled.building import Kernel
    from unrolled.engines.compiled.run import Run

__all__ = ["Chain", "backward", "forward"]

Array = Any
Made = tuple[Program, Source, "Kernel"]
_LABELLED = ("x", "y")  # what may be given as labels
_MOST_RUNS, _MOST_BYTES = 24, 1 << 28  # of earlier runs whose buffers are held
_MADE: weakref.WeakKeyDictionary[Stage, dict[Any, Made | None]] = weakref.WeakKeyDictionary()


def forward(
    stage: Stage, parameters: Mapping[str, Array], sequences: Sequences,
    keep: frozenset[str] | None, memory: dict[str, Any] | None = None,
) -> Kept:  # fmt: skip
    """Run the stage over the sequences, as the reference engine does."""
    made = _made(stage, "forward", keep, frozenset(), sequences.given, parameters)
    if made is None:
        return fallback.forward(stage, parameters, sequences, keep, memory)
    run = _run(made, parameters, sequences, memory)
    run.run(parameters, sequences.given, sequences.state)
    return Kept(run.kept(keep), run.ends(), run.loss)


def backward(
    stage: Stage, parameters: Mapping[str, Array], sequences: Sequences, kept: Kept,
    upstream: Mapping[str, Array], keep: frozenset[str] | None,
    memory: dict[str, Any] | None = None,
) -> tuple[Kept, dict[str, Array]]:  # fmt: skip
    """Go back over a run, as the reference engine does; shares of single steps are not kept."""
    added, given, start = way_back(stage, sequences, kept, upstream)
    made = _made(stage, "backward", keep, added, given, parameters)
    if made is None:
        return fallback.backward(stage, parameters, sequences, kept, upstream, keep, memory)
    run = _run(made, parameters, sequences, memory)
    run.run(parameters, given, start)
    return Kept(run.kept(keep)), gradients(run.results.new(), run.ends())


def _made(
    stage: Stage, direction: str, keep: frozenset[str] | None, outside: frozenset[str],
    given: Mapping[str, Array], parameters: Mapping[str, Array],
) -> Made | None:  # fmt: skip
    """Return the kernel of a stage, compiled at its first use; None where there is none."""
    labels = tuple(n for n in _LABELLED if n in given and type(given[n]) is OneHot)
    dtype = next(iter(parameters.values())).dtype
    found = _MADE.get(stage)
    if found is None:
        found = _MADE[stage] = {}
    key = direction, keep, outside, labels, dtype.char
    if key not in found:
        found[key] = _make(stage, direction, keep, outside, frozenset(labels), dtype.name)
    return found[key]


def _make(
    stage: Stage, direction: str, keep: frozenset[str] | None, outside: frozenset[str],
    labels: frozenset[str], dtype: str,
) -> Made | None:  # fmt: skip
    from unrolled.engines.compiled.building import build

    try:
        program = Program(stage, direction, keep, outside, labels)
        source = Source(program)
    except UnsupportedError:
        return None
    title = f"{' '.join(part.name for part in stage.parts)} {direction}"
    return program, source, build(title, source.text, dtype)


def _run(
    made: Made, parameters: Mapping[str, Array], sequences: Sequences, memory: dict[str, Any] | None
) -> "Run":
    """Return what a kernel needs for a run, that of an earlier one of the same sizes where there is one."""
    from unrolled.engines.compiled.run import Run

    memory = {} if memory is None else memory
    program, source, kernel = made
    key = f"compiled {program.direction}"
    held = memory.get(key)
    if held is None or not held.fits(program, sequences):
        before: dict[Any, Run] = memory.setdefault(f"{key}, before", {})
        size = program, sequences.m, sequences.T, sequences.reverse
        held = before.pop(size, None)
        if held is None or not held.fits(program, sequences):
            held = Run(program, source, kernel, parameters, sequences)
        before[size] = memory[key] = held
        _forget(before)
    run: Run = held
    return run


def _forget(before: dict[Any, "Run"]) -> None:
    """Let go of runs that have not been needed for longest: sizes come back where batches have lengths."""
    while len(before) > 1 and (
        len(before) > _MOST_RUNS or sum(run.nbytes for run in before.values()) > _MOST_BYTES
    ):
        del before[next(iter(before))]
