"""The NumPy engine: runs the schedule of any cell, into buffers that are used again.

There is no cell's mathematics here: program.py writes functions from a schedule, workspace.py holds
the buffers that they run on, run.py runs them. All arrays are transposed, (T, m, n) in C order, which
is (n, m, T) in Fortran order without a copy.
"""

import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from unrolled.engines import Kept, Sequences, gradients, way_back
from unrolled.engines.numpy.program import Program
from unrolled.engines.numpy.run import Run
from unrolled.engines.numpy.workspace import Workspace
from unrolled.equations.step import Stage

Array = Any
_PROGRAMS: weakref.WeakKeyDictionary[Stage, dict[Any, Program]] = weakref.WeakKeyDictionary()


def forward(
    stage: Stage, parameters: Mapping[str, Array], sequences: Sequences,
    keep: frozenset[str] | None, memory: dict[str, Any] | None = None,
) -> Kept:  # fmt: skip
    """Run the stage over the sequences, as the reference engine does."""
    program = _program(stage, "forward", keep, frozenset(), sequences.m == 1)
    workspace = _workspace(program, parameters, sequences, memory)
    run = Run(workspace, parameters, sequences.given)
    with np.errstate(over="ignore"):  # e^−z may be infinite, and σ is then 0
        totals = run.run(sequences.state)
    loss = totals["loss"][0, 0] if "loss" in totals else 0.0
    return Kept(workspace.kept(keep) | run.kept_constants(keep), workspace.ends(), loss)


def backward(
    stage: Stage, parameters: Mapping[str, Array], sequences: Sequences, kept: Kept,
    upstream: Mapping[str, Array], keep: frozenset[str] | None,
    memory: dict[str, Any] | None = None,
) -> tuple[Kept, dict[str, Array]]:  # fmt: skip
    """Go back over a run, as the reference engine does; shares of single steps are not kept."""
    added, given, start = way_back(stage, sequences, kept, upstream)
    program = _program(stage, "backward", keep, added, sequences.m == 1)
    workspace = _workspace(program, parameters, sequences, memory)
    totals = Run(workspace, parameters, given).run(start)
    return Kept(workspace.kept(keep)), gradients(totals, workspace.ends())


def _program(stage: Stage, *asked: Any) -> Program:
    programs = _PROGRAMS.setdefault(stage, {})
    if asked not in programs:
        programs[asked] = Program(stage, *asked)
    return programs[asked]


def _workspace(
    program: Program, parameters: Mapping[str, Array], sequences: Sequences,
    memory: dict[str, Any] | None,
) -> Workspace:  # fmt: skip
    """Return buffers for a run, those of the last one where they fit."""
    memory = {} if memory is None else memory
    held = memory.get(program.direction)
    if held is None or not held.fits(program, sequences):
        held = memory[program.direction] = Workspace(program, parameters, sequences)
    return held
