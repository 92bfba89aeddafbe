"""What a run should have computed and did not: the quantities that wrong results are made from."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from unrolled.checking.calling.layouts import parts
from unrolled.checking.locating.order import Order
from unrolled.checking.locating.places import failing, meant, names_it, root
from unrolled.checking.locating.runs import Repair, Run, Runner, node_set, stacked_nodes
from unrolled.checking.recognising import Node


def missing_nodes(
    runner: Runner, run: Run, repairs: Sequence[Repair], every: bool = False
) -> list[Node]:
    """Return the quantities that wrong results are made from and that were nowhere computed, first to
    last: of each name the first step, or `every` one, and none from which something right was made.
    What a repair put right, or they were handed, says nothing of what it should have been made from.
    Last come those from which a right total was made: one of steps that are exchanged is right as well.
    """
    order, given = runner.order, {repair.name for repair in repairs} | runner.plan.handed
    known, stacked = _known_for_good(runner, run), stacked_nodes(run, runner)
    implied = known | order.ancestors(known, given) | order.ancestors(stacked, given) - stacked
    wanted, wrong = order.ancestors(_targets(runner, run)), _wrong_names(runner, run)
    found = [
        node for node in order.needs
        if node in wanted - implied and _can_be_formed(order, node, implied)
        and (node.name in wrong or not _is_zero(runner, node))
    ]  # fmt: skip
    found.sort(key=lambda node: node in stacked and is_summed(runner, node.name))
    starts = [Node(f"{s}0") for s in sorted(runner.plan.given)]
    starts += [Node(f"d{s}_next") for s in runner.truth.initial]
    later = [
        node for node in map(Node, sorted(wrong))
        if node in order.needs and _can_be_formed(order, node, implied)
    ]  # fmt: skip
    later += _stacked(runner, run, implied)
    at_steps = {node for node in known if node.t is not None and not node.kind}
    certain = known | order.ancestors(at_steps, given)
    doubted = [n for n in order.needs if n in implied - certain and n.t is not None]
    nodes = [*starts, *crashed(runner, run), *found, *later, *(n for n in doubted if n in wanted)]
    return list(dict.fromkeys(nodes)) if every else _first_of_each(nodes)


def _first_of_each(nodes: Iterable[Node]) -> list[Node]:
    """Return the first node of each name; a total is apart from the shares of steps."""
    first: dict[tuple[str, bool], Node] = {}
    for node in nodes:
        first.setdefault((node.name, node.t is None), node)
    return list(first.values())


def _stacked(runner: Runner, run: Run, implied: set[Node]) -> list[Node]:
    """Return the shares and totals of gradients that come back wrong and in one array."""
    wrong = dict.fromkeys(output.quantity for output in run.wrong)
    names = [name for name in wrong if is_summed(runner, name) and name not in runner.truth.totals]
    formed = [
        name for name in names
        if all(_can_be_formed(runner.order, Node(part), implied) for part in _parts(runner, name))
    ]  # fmt: skip
    return [node for name in formed for node in (Node(name, runner.problem.T - 1), Node(name))]


def crashed(runner: Runner, run: Run) -> list[Node]:
    """Return what the statement in which the code failed should give: even if a part of it looks right."""
    inside = failing(runner.places, runner.program.path, run.error)
    if not inside or not run.watcher.events:
        return []
    t = runner.step(run.watcher.events[-1], run.watcher)
    statement = runner.places[root(runner.places, inside[0].number)]
    names = {n for target in statement.targets for n in meant(target, runner.problem.cell)}
    found = [Node(name, t) for name in sorted(names)]
    return [
        n for n in found if n in runner.order.needs or (t is not None and _is_of_step(runner, n))
    ]


def _is_of_step(runner: Runner, node: Node) -> bool:
    """Whether a step has a share of a quantity, or is given it: a state, an input."""
    return is_summed(runner, node.name) or node.name in runner.truth.steps[0]


def _known_for_good(runner: Runner, run: Run) -> set[Node]:
    """Return what was computed, but for what a statement that should give it went on to change."""
    good, cell = list(run.nodes), runner.problem.cell
    last: dict[tuple[int, Any], list[Node]] = {}
    for order in reversed(range(len(run.nodes))):
        event = run.watcher.events[order]
        number = root(runner.places, event.place)
        if number == event.place:
            last[number, event.rounds] = run.nodes[order]
        whole, place = last.get((number, event.rounds)), runner.places[number]
        if whole is not None and place.targets:
            good[order] = [
                node for node in run.nodes[order]
                if node in whole or not names_it(place, node.name, cell)
            ]  # fmt: skip
    return node_set(dataclasses.replace(run, nodes=good), runner)


def _can_be_formed(order: Order, node: Node, implied: set[Node]) -> bool:
    """Whether a total is worth looking for: not while what it adds up is made from something wrong."""
    if node.t is not None or node.name == "loss":
        return True
    shares = [n for n in order.needs[node] if n not in implied]
    return all(n in implied or n not in order.needs for s in shares for n in order.needs[s])


def _is_zero(runner: Runner, node: Node) -> bool:
    """Whether a quantity is 0 by right, so that nothing tells whether it was computed."""
    return node.t is not None and not np.any(runner.truth.value(node.name, node.t))


def is_summed(runner: Runner, name: str) -> bool:
    """Whether a quantity has a share at each step and a total: the gradient of a parameter, or of some."""
    gradients = {f"d{parameter}" for parameter in runner.truth.table.step.parameters}
    return set(_parts(runner, name)) <= gradients


def _parts(runner: Runner, name: str) -> list[str]:
    return parts(name, runner.problem.cell)


def _wrong_names(runner: Runner, run: Run) -> set[str]:
    return {part for output in run.wrong for part in _parts(runner, output.quantity)}


def _targets(runner: Runner, run: Run) -> set[Node]:
    """Return the quantities that should be right and are not; all of them where the code failed."""
    order = runner.order
    if run.error is not None:
        return set(order.needs)
    found = set()
    for name in _wrong_names(runner, run):
        steps = {Node(name, t) for t in range(runner.problem.T)}
        total = {Node(name)} if Node(name) in order.needs else steps
        found |= (total if name[:1] == "d" or name == "loss" else steps) & set(order.needs)
    return found or set(order.needs)
