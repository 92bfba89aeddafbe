"""From a person's namespace to runs: every way in which their file may be run on a problem."""

from unrolled.checking.calling.entries import Way
from unrolled.checking.calling.layouts import Layout, Reading
from unrolled.checking.calling.outputs import Output
from unrolled.checking.calling.plan import Plan, problem_for
from unrolled.checking.calling.planning import plans
from unrolled.checking.calling.run import KEPT, Outcome

__all__ = ["KEPT", "Layout", "Outcome", "Output", "Plan", "Reading", "Way", "plans", "problem_for"]
