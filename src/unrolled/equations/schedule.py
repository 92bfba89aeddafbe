"""The schedule: which equations of a stage run once over all time, and which at every step.

Everything is decided from the recorded equations. What does not depend on the step before is hoisted
out of the loop: as a term `p.z`, which waits where z will stand, or as a factor `k.z`. Products with
one operand are stacked into one, and so are products that are added up. What no later step depends on
comes after the loop, where a sum over time of dz⟨t⟩ a⟨t⟩ᵀ is one product of all columns.
"""

from unrolled.equations.expressions import Expression
from unrolled.equations.hoisting import Hoisting
from unrolled.equations.layout import arrange
from unrolled.equations.operations import Schedule
from unrolled.equations.step import Stage
from unrolled.equations.table import record_stage


def schedule(
    stage: Stage, direction: str, keep: frozenset[str] | None,
    outside: frozenset[str] = frozenset(), single: bool = True,
) -> Schedule:  # fmt: skip
    """Return the schedule of a stage's "forward" or "backward".

    `keep` names what has to be there at every step afterwards (None: all); `outside` are gradients to
    which something is added at each step, as "up.<name>". For a `single` sequence, where the number of
    calls counts, what one product leaves lies side by side in one buffer, so that equal equations can
    be one; what one product finds always does.
    """
    equations, shapes = record_stage(stage)
    chosen = {e.name: e.expression for e in equations if e.direction == direction}
    for name in outside & chosen.keys():
        up = Expression.quantity(f"up.{name}", chosen[name].shape)
        chosen[name] = Expression("add", (chosen[name], up), chosen[name].shape)
    if direction == "forward":
        carried = {f"{s}_prev": s for s in stage.states}
        totals = [name for name in chosen if name == "loss"]
    else:
        carried = {f"d{s}_next": f"d{s}_prev" for s in stage.states}
        totals = [f"d{name}" for name in stage.parameters]
    kept = (frozenset(chosen) if keep is None else keep & chosen.keys()) - set(totals)
    hoisting = Hoisting(chosen, shapes, carried, kept, totals, stage, outside)
    parts, stored = hoisting.parts()
    together = single or direction == "backward"
    return arrange(hoisting.schedule, parts, stored, hoisting.parameters, together, in_place=single)
