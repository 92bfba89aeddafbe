"""Where no edited equation gives a person's numbers: an edit of their code that makes all numbers right."""

import ast
from collections.abc import Sequence
from dataclasses import replace

from unrolled.checking.describing.findings import equation_of, said_as, source_of
from unrolled.checking.locating.runs import Repair, Runner
from unrolled.checking.locating.search import Located
from unrolled.checking.mending import Mended, mended, of_structure, with_loop_turned
from unrolled.checking.report import Cause, Finding

Pair = tuple[Located, Finding]
_LONG = 2  # findings that are mended with all others repaired
_OTHER = (
    "neighbour",
    "yours",
    "other_step",
    "wrapped_index",
    "initial_state",
    "zero",
    "loop_bound",
)
"""Causes of which several may be one slip: something else stands where something is read."""


def with_slips(
    pairs: Sequence[Pair], runners: Sequence[Runner], repairs: Sequence[Repair], written: int | None
) -> list[Finding]:
    """Return the findings on the plain problem, those that nothing explains with the edit that mends them;
    or one in place of all, where one edit does. In the line `written` they change what they are given.
    """
    found = [finding for _, finding in pairs]
    if len(pairs) > 1 and (slip := with_loop_turned(runners)):
        back = next((f for f in found if _is_inside(f, slip)), found[0])
        return [_said(replace(back, quantity=_first_back(runners[0])), runners[0], slip)]
    unsure = [located for located, finding in pairs if finding.cause.certainty != "exact"]
    if unsure and (slip := mended(runners, [], _near(pairs[0], runners[0], written))):
        return [_said(found[0], runners[0], slip)]
    alike = all(one.cause.id in _OTHER for one in found)
    if len(pairs) > 1 and alike and (slip := of_structure(runners, pairs[0][0].place.node)):
        return [_said(found[0], runners[0], slip)]
    if len(pairs) == 1 or not unsure:
        return found
    alone = unsure[:_LONG]  # each takes some time
    return [
        _mended(located, finding, runners, [r for r in repairs if r != located.repair])
        if located in alone
        else finding
        for located, finding in pairs
    ]


def _near(pair: Pair, runner: Runner, written: int | None) -> ast.AST:
    """Where to begin: at the place that was made out, or, of a state that is another one, where they write
    into what they were given.
    """
    located, finding = pair
    there = _statements(runner, written) if finding.cause.id == "start" else []
    return there[-1] if there else located.place.node


def _statements(runner: Runner, line: int | None) -> list[ast.stmt]:
    nodes = ast.walk(runner.code.plain)
    return [node for node in nodes if isinstance(node, ast.stmt) and node.lineno == line]


def _mended(
    located: Located, finding: Finding, runners: Sequence[Runner], others: Sequence[Repair]
) -> Finding:
    slip = mended(runners, others, located.place.node)
    return finding if slip is None else _said(finding, runners[0], slip)


def without_place(finding: Finding, runners: Sequence[Runner]) -> Finding:
    """Return a finding whose place was not made out with the edit that mends it, if one near its line does."""
    near = _statements(runners[0], finding.line)
    slip = mended(runners, [], near[-1]) if near else None
    if slip is None:
        return finding
    return _said(finding, runners[0], slip)


def _is_inside(finding: Finding, slip: Mended) -> bool:
    """Whether a finding lies in the loop that has to be turned."""
    line, end = getattr(slip.node, "lineno", 0), getattr(slip.node, "end_lineno", 0)
    return finding.line is not None and line <= finding.line <= end


def _first_back(runner: Runner) -> str:
    """The gradient that first needs what the step after hands back."""
    table = runner.truth.table
    links = {f"d{state}_next" for state in table.step.states}
    return next(e.name for e in table.of("backward") if links & set(e.expression.names))


def _said(finding: Finding, runner: Runner, slip: Mended) -> Finding:
    node = slip.node
    line, column = int(getattr(node, "lineno", 0)), int(getattr(node, "col_offset", 0)) + 1
    failed = f"{finding.cause.message.rstrip('.')}; " if finding.cause.id == "failed" else ""
    cause = Cause("slip", "exact", f"{failed}with {slip.words} every number is right.")
    of_logits = slip.quantity == "log_y_hat"  # which a report calls ŷ, or the loss, as it was found
    quantity = said_as("" if of_logits else slip.quantity) or finding.quantity
    same = quantity == finding.quantity
    return replace(
        finding, quantity=quantity, t=finding.t if same else slip.t,
        name=finding.name if same else ast.unparse(node).splitlines()[0][:60],
        line=line, column=column, source=source_of(runner, line),
        worst=finding.worst if same else None, shape=finding.shape if same else None,
        expected_shape=finding.expected_shape if same else "",
        equation=finding.equation if same else equation_of(runner, quantity), cause=cause,
        message=cause.message,
    )  # fmt: skip
