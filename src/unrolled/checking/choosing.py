"""Which networks are in a file, and how each is read: the plan, reading and conventions that explain most."""

import ast
from collections.abc import Collection, Iterable, Sequence

from unrolled.checking.calling import Plan, Way, problem_for
from unrolled.checking.calling.usage import takes_logarithms
from unrolled.checking.conventions import Choice, choose_reading
from unrolled.checking.locating.runs import Runner, WatchedCode
from unrolled.checking.locating.search import locate
from unrolled.checking.problems import FORWARD_ONLY, Problem, Truth
from unrolled.checking.recognising import TOLERANCE
from unrolled.checking.running.watching import Watcher

_Score = tuple[bool, int, int, bool]


def runner_for(code: WatchedCode, choice: Choice, kind: str) -> Runner:
    """Return a runner on a problem of a kind, as the choice reads it."""
    return runner_on(code, choice, problem_for(choice.plan, kind))


def runner_on(code: WatchedCode, choice: Choice, problem: Problem) -> Runner:
    """Return a runner on a problem, as the choice reads it."""
    plan, kind = choice.plan, problem.kind
    truth = Truth(plan.problem(problem, choice.reading), choice.conventions)
    tolerance = 1e-5 if kind == "saturated" else TOLERANCE
    forward_only = kind in FORWARD_ONLY
    return Runner(code, plan, choice.reading, problem, truth, tolerance, forward_only)


def choices(code: WatchedCode, possible: Sequence[Plan]) -> tuple[list[Choice], list[Plan]]:
    """Return how each network of a file is read, in the order of the lines; and plans for what else has
    the looks of one, but computes nothing of it.
    """
    if len(possible) == 1:
        return [_settled(code, _tried(code, possible[0])[1])], []
    tried: dict[int, tuple[_Score, Choice]] = {}
    chosen, others, left = list[Choice](), list[Plan](), list(possible)
    while left:
        score, choice = _best(code, left, tried)
        if not chosen or choice.plan.way.is_named or any(score[:3]):
            chosen.append(_settled(code, choice))
        else:
            others.append(choice.plan)
        ran = _functions(code, choice.plan)
        left = [plan for plan in left if not _is_part(plan.way, choice.plan.way, ran)]
    return sorted(chosen, key=lambda one: one.plan.way.first_line), others


def _is_part(way: Way, of: Way, ran: Collection[ast.FunctionDef]) -> bool:
    """Return whether a way to run a file belongs to a network that is run: its backward runs there, or
    it is another one for the same forward or class.
    """
    if way.owner:
        return way.owner == of.owner or way.backward.node in ran
    if way.forward is not None and of.forward is not None and way.forward.node is of.forward.node:
        return True
    return way.backward.node in ran or way.backward.node in of.functions


def _best(
    code: WatchedCode, possible: Sequence[Plan], tried: dict[int, tuple[_Score, Choice]]
) -> tuple[_Score, Choice]:
    """Return the plan that explains most of its values, as it is read, with what speaks for it."""
    for plan in possible:
        if id(plan) not in tried:
            tried[id(plan)] = _tried(code, plan)
        if tried[id(plan)][0][0] and not _left_out(plan, tried.values()):
            return tried[id(plan)]
    found = [tried[id(plan)] for plan in possible]
    whole = [one for one in found if not _left_out(one[1].plan, found)]
    return max(whole or found, key=lambda one: one[0])


def _left_out(plan: Plan, tried: Iterable[tuple[_Score, Choice]]) -> bool:
    """Return whether another plan runs the same as a part of what it runs, and as much is recognised in it:
    what it has besides, a loss with its gradient, is to be judged too, if it is a loss that is known.
    """
    parts = {id(entry.node) for _, entry in plan.way.parts}
    own = max((score for score, one in tried if one.plan is plan), default=(False, 0, 0, False))
    for (_, known, right, done), other in tried:
        turn = other.plan.way
        whole = turn.forward is None and id(turn.backward.node) not in parts
        more = whole and parts < {id(f) for f in turn.functions}
        judged = right or takes_logarithms(turn.functions)
        if more and judged and known >= max(own[1], 1) and done >= own[3]:
            return True
    return False


def _tried(code: WatchedCode, plan: Plan) -> tuple[_Score, Choice]:
    problem, watcher = problem_for(plan, "plain"), Watcher()
    outcome = code.run(plan, watcher, problem)
    choice = choose_reading(plan, problem, watcher.events, outcome)
    run = runner_for(code, choice, "plain").run(quiet=True)
    done = run.outcome.error is None
    return (run.fine and bool(run.right), choice.recognised, len(run.right), done), choice


def _functions(code: WatchedCode, plan: Plan) -> Collection[ast.FunctionDef]:
    """Return the functions in which something is computed when a plan runs."""
    watcher = Watcher()
    code.run(plan, watcher, problem_for(plan, "plain"))
    lines = {code.places[event.place].line for event in watcher.events}
    functions = (n for n in ast.walk(code.program.tree) if isinstance(n, ast.FunctionDef))
    return {f for f in functions if lines & set(range(f.lineno, (f.end_lineno or 0) + 1))}


def _settled(code: WatchedCode, choice: Choice) -> Choice:
    """Return the choice; where the forward alone speaks for a variant of the cell, or leaves open how it
    is read, the one under which most is right after one repair: the usual one if that does not tell.
    """
    if not choice.doubtful:
        return choice
    best, most = choice, (False, 0)
    for one in (choice, *choice.doubtful):
        right = _right_after_one(runner_for(code, one, "plain"))
        if right > most:
            best, most = one, right
        if right[0]:
            break
    return best


def _right_after_one(runner: Runner) -> tuple[bool, int]:
    run = runner.run()
    if not run.fine and (located := locate(runner, [])) is not None:
        run = runner.run([located.repair])
    return run.fine, len(run.right)
