"""The search for an edit of a person's code with which every number comes out right."""

import ast
import copy
import functools
import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from unrolled.checking.locating.places import meant, spot_of
from unrolled.checking.locating.runs import Repair, Run, Runner, WatchedCode
from unrolled.checking.mending.edits import (
    Mend,
    narrow,
    of_size,
    structural,
    targets,
    turned_loops,
    wide,
)
from unrolled.checking.mending.trees import Family, Relative
from unrolled.checking.recognising import Node
from unrolled.checking.running.program import called_names
from unrolled.checking.running.watching import Watcher

_MOST = 400  # edits that are tried, at some milliseconds each
_MOST_WITH_REPAIRS = 12  # which are watched, and take longer
_MOST_AFTER_A_CRASH = 200  # which is told by the line


@dataclass(frozen=True)
class Mended:
    """An edit that makes everything right: `node` is what it changes, `words` say to what; `quantity`
    is what is computed there then, at step t, if that is known.
    """

    node: ast.AST
    words: str
    quantity: str = ""
    t: int | None = None


def mended(runners: Sequence[Runner], repairs: Sequence[Repair], near: ast.AST) -> Mended | None:
    """Return the edit, nearest to a node, with which everything is right on all runners' problems,
    with `repairs` of other mistakes in place; None if there is none.
    """
    family = Family(runners[0].code.plain)
    failed = runners[0].run(repairs, quiet=True).error is not None
    most = _MOST_WITH_REPAIRS if repairs else _MOST_AFTER_A_CRASH if failed else _MOST
    return _first(family, _nearest(family, near, failed), runners, repairs, most)


def of_structure(runners: Sequence[Runner], near: ast.AST) -> Mended | None:
    """Return the edit of where something is kept, or when it is computed, with which everything is right."""
    family = Family(runners[0].code.plain)
    if (own := family.statement(near)) is None:
        return None
    inside, others = _inside_and_others(family, own)
    mends = (mend for s in (*inside, *others) for mend in structural(family, s))
    return _first(family, mends, runners, [], _MOST)


def with_loop_turned(runners: Sequence[Runner]) -> Mended | None:
    """Return the loop that has only to run the other way round."""
    family = Family(runners[0].code.plain)
    return _first(family, turned_loops(family), runners, [], _MOST)


def _first(
    family: Family, mends: Iterable[Mend], runners: Sequence[Runner], repairs: Sequence[Repair],
    most: int,
) -> Mended | None:  # fmt: skip
    whole = [{o.key for o in runner.run(repairs, quiet=True).outcome.outputs} for runner in runners]
    for mend in itertools.islice(mends, most):
        code = MendedCode(runners[0].code, mend.make())
        pairs = zip(runners, whole, strict=True)
        if all(code.is_right(runner, repairs, outputs) for runner, outputs in pairs):
            return code.described(runners[0], repairs, mend, family)
    return None


def _nearest(family: Family, near: ast.AST, failed: bool) -> Iterator[Mend]:
    """Yield edits of the statement itself; then, of every statement, those that no equation shows: where it
    keeps what it computes, and when it does; then edits of what gives the statement's names their values
    and of the functions that it calls; then of the rest. Where it `failed` other names and sizes come first.
    """
    if (own := family.statement(near)) is None:
        return
    inside, others = _inside_and_others(family, own)
    used = {n.id for n in ast.walk(own) if isinstance(n, ast.Name)}
    making = [s for s in inside if s is not own and _assigned(s) & used]
    called, others_called = (
        [s for f in _functions(family.tree) if f.name in names for s in _statements(f)]
        for names in (called_names(own), set().union(*map(called_names, making)))
    )
    yield from narrow(family, own)
    if failed:
        yield from wide(family, own)
    for statement in making if failed else ():
        yield from of_size(family, statement)
    for statement in (*inside, *others):
        yield from structural(family, statement)
    done = [own]
    for statement in (*called, *([] if failed else [own]), *making, *others_called):
        yield from wide(family, statement)
        yield from narrow(family, statement) if statement not in done else ()
        done.append(statement)
    for statement in (*inside, *others):
        yield from narrow(family, statement) if statement not in done else ()


def _inside_and_others(family: Family, own: ast.stmt) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """The statements of the function that one is in, nearest first, and those of the other functions."""
    function = family.function(own)
    inside = _by_distance(_statements(function or family.tree), own)
    others = [s for f in _functions(family.tree) if f is not function for s in _statements(f)]
    return inside, others


def _by_distance(statements: Iterable[ast.stmt], of: ast.stmt) -> list[ast.stmt]:
    return sorted(statements, key=lambda s: abs(s.lineno - of.lineno))


def _functions(tree: ast.AST) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def _statements(tree: ast.AST) -> list[ast.stmt]:
    skipped = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Global)
    return [n for n in ast.walk(tree)
            if isinstance(n, ast.stmt) and n is not tree and not isinstance(n, skipped)]  # fmt: skip


def _assigned(statement: ast.stmt) -> set[str]:
    """The names that a statement gives values, whole or in a part."""
    parts = [e for t in targets(statement) for e in (t.elts if isinstance(t, ast.Tuple) else [t])]
    names = set()
    for target in parts:
        while isinstance(target, ast.Subscript | ast.Attribute):
            target = target.value
        names |= {target.id} if isinstance(target, ast.Name) else set()
    return names


class MendedCode(WatchedCode):
    """A person's code with one place changed; what is not to be watched runs as it stands."""

    def __init__(self, code: WatchedCode, relative: Relative):
        super().__init__(code.program, relative.tree)
        self.code, self.relative = code, relative

    def is_right(
        self, runner: Runner, repairs: Sequence[Repair], outputs: Collection[object]
    ) -> bool:
        """Return whether everything is right on a runner's problem, and nothing that was there is gone."""
        moved = self._moved(repairs)
        if moved is None:
            return False
        try:
            run = self._runner(runner).run(moved, quiet=True)
        except SyntaxError:  # a `break` that is in no loop any more
            return False
        there = {o.key for o in run.outcome.outputs}
        return run.fine and {*outputs} <= there and len(run.right) > 1

    def _runner(self, runner: Runner) -> Runner:
        mine = copy.copy(runner)
        mine.code, mine.timeline, mine.loops, mine._most = self, None, {}, None
        return mine

    def _moved(self, repairs: Sequence[Repair]) -> list[Repair] | None:
        """The repairs at the places where they are in the changed code; None where one is not there."""
        if not repairs:
            return []
        places = {(p.kind, id(self.relative.origin(p.node))): p.number for p in self.places}
        kept = [self.code.places[repair.place] for repair in repairs]
        numbers = [places.get((place.kind, id(place.node))) for place in kept]
        pairs = zip(repairs, numbers, strict=True)
        moved = [replace(repair, place=number) for repair, number in pairs if number is not None]
        return moved if len(moved) == len(repairs) else None

    def to_run(self, watcher: Watcher, lazy: frozenset[int]) -> ast.Module:
        """What is executed: instrumented only where something is to be seen, or could go on and on."""
        seen = (
            watcher.replacements or watcher.loops or not watcher.quiet or self.code.may_be_endless
        )
        return super().to_run(watcher, lazy) if seen else self.plain

    def described(
        self, runner: Runner, repairs: Sequence[Repair], mend: Mend, family: Family
    ) -> Mended:
        """Return the edit with what is computed where it was made."""
        mine = self._runner(runner)
        mine.places = self.places
        run = mine.run(self._moved(repairs) or [])
        if names := _exchanged_names(mend):
            known = {*mine.truth.steps[0]}
            meaning = [q for name in names for q in sorted(meant(name, mine.problem.cell) & known)]
            return Mended(mend.node, mend.words, (meaning or [""])[0])
        for node in (mend.node, *family.above(mend.node)):
            for spot in (node, getattr(node, "value", None), getattr(node, "iter", None)):
                if seen := self._first_known(mine, run, spot):
                    return Mended(mend.node, mend.words, *seen)
            if isinstance(node, ast.stmt):
                break
        return Mended(mend.node, mend.words)

    def _first_known(
        self, runner: Runner, run: Run, spot: ast.AST | None
    ) -> tuple[str, int | None] | None:
        """The first quantity that a run has at a spot, and its step."""
        numbers = {p.number for p in self.places if spot is not None and self._is_at(p.node, spot)}
        for event, found in zip(run.watcher.events, run.nodes, strict=True):
            known = [n for n in found if n.kind != "with start" and self._is_computed(n, runner)]
            if event.place in numbers and known:
                t = runner.step(event, run.watcher)
                return min(known, key=lambda node: node.t != t).name, t
        return None

    def _is_computed(self, node: Node, runner: Runner) -> bool:
        at_its_step = Node(node.name, node.t)
        return (
            at_its_step in runner.order.needs
            or node.name.removesuffix("_prev") in runner.truth.initial
        )

    def _is_at(self, node: ast.AST, spot: ast.AST) -> bool:
        """Whether a node of the changed code stands where one of the family's tree does."""
        if self.relative.origin(node) is spot:
            return True
        syntax = isinstance(spot, ast.expr | ast.stmt)
        return syntax and id(spot) not in self._kept and spot_of(node) == spot_of(spot)

    @functools.cached_property
    def _kept(self) -> set[int]:
        """What of the family's tree is in the changed code too."""
        return {id(node) for node in ast.walk(self.plain)}


def _exchanged_names(mend: Mend) -> list[str]:
    """The names of targets that an edit exchanges, first to last."""
    if not isinstance(mend.node, ast.Tuple) or not isinstance(mend.new, ast.Tuple):
        return []
    pairs = zip(mend.node.elts, mend.new.elts, strict=False)
    return [ast.unparse(old) for old, new in pairs if old is not new and isinstance(old, ast.Name)]
