"""What stands around the gradient: windows, states, clipping, the update, sampling, a gradient check."""

import ast
from collections.abc import Callable
from typing import Any

from unrolled.checking.procedures.clip_use import examine_clip_use
from unrolled.checking.procedures.clipping import examine_clipping
from unrolled.checking.procedures.crashes import examine_crash
from unrolled.checking.procedures.examples import examine_targets
from unrolled.checking.procedures.findings import Examined
from unrolled.checking.procedures.gradient_checks import examine_gradient_checks
from unrolled.checking.procedures.initial import examine_initial
from unrolled.checking.procedures.inline_clipping import examine_inline_clipping
from unrolled.checking.procedures.iterations import Iteration, iterations
from unrolled.checking.procedures.odds import examine_odds
from unrolled.checking.procedures.running import Calls, Program
from unrolled.checking.procedures.sampling import examine_sampling
from unrolled.checking.procedures.states import examine_states
from unrolled.checking.procedures.trying import run_training
from unrolled.checking.procedures.updating import examine_update

__all__ = ["Calls", "Examined", "examine"]


def examine(
    program: ast.Module, source: str, load: Callable[[], dict[str, Any]], calls: Calls | None = None
) -> Examined:
    """Examine what a file does around its gradient.

    `load` executes the definitions and plain assignments of the file anew and returns their
    namespace. Returns the findings in the order in which the numbers come about, what was proved,
    and what could not be tested and why. Nothing in their code makes it raise.
    """
    file = Program(program, source, load, calls or Calls())
    examined = Examined()
    training, missed = run_training(file)
    examined.untestable += missed
    done = iterations(file, training) if training else []
    if training is None:
        examine_crash(file, examined)
    for part in _ALWAYS if training is None else _ALL:
        if examined.spoiled:
            break
        try:
            part(file, training, done, examined)
        except Exception as error:  # what they made is of no kind that was thought of
            what = part.__name__.removeprefix("examine_").replace("_", " ")
            examined.untestable.append(f"{what}: not tested, {type(error).__name__}: {error}")
    return examined


_Part = Callable[[Program, Any, list[Iteration], Examined], None]
_ALL: tuple[_Part, ...] = (
    examine_initial, examine_targets, examine_states, examine_clipping, examine_inline_clipping,
    examine_update, examine_clip_use, examine_sampling, examine_odds, examine_gradient_checks,
)  # fmt: skip
_ALWAYS: tuple[_Part, ...] = (
    examine_initial, examine_clipping, examine_sampling, examine_gradient_checks
)  # fmt: skip
