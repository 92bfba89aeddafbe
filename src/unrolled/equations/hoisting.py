"""What runs before the loop, in it and after it, and what of an equation is taken out of the loop.

Names of what is taken out: p.z, the terms of z that do not depend on the step before; k.z, such factors;
r.z, a product; s.z, a sum with products in it; v.z, what a product takes; t0.z and u0.z, what is summed
up over time; c.z, what comes from parameters only; n.z, a copy that is kept; e., what repeats.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from unrolled.equations.expressions import SIGNS, Expression, multiplied, summed
from unrolled.equations.operations import Elementwise, Operation, Product, Schedule, Total
from unrolled.equations.step import Stage
from unrolled.notation import Shape

Equations = dict[str, Expression]
Terms = list[tuple[int, Expression]]


class Hoisting:
    """Takes the equations of one direction apart.

    `carried` says under which name the next step gets what a step computes; `keep` names what has to
    be there afterwards, `totals` what is summed up over time. `recurrent` are the names that depend on
    the step before, or have to stay in the loop with those that do.
    """

    def __init__(
        self, equations: Equations, shapes: Mapping[str, Shape], carried: dict[str, str],
        keep: frozenset[str], totals: list[str], stage: Stage, outside: frozenset[str],
    ):  # fmt: skip
        self.keep, self.totals, self.carried = keep, totals, carried
        self.states = frozenset(stage.states) & frozenset(carried.values())
        self.handed_back = frozenset(carried.values()) - self.states
        self.parameters = frozenset(stage.parameters)
        self.constant = set(self.parameters)  # with the names of what comes from them only
        self.schedule = Schedule(shapes=dict(shapes), carried=carried, handed_back=self.handed_back)
        for name in outside:
            self.schedule.shapes[f"up.{name}"] = shapes[name]
        self.equations = reachable(equations, [*carried.values(), *keep, *totals])
        while repeated := self._repeated():
            self._name(repeated)
        self._take_constants()
        self._add_to_carried(outside)
        read = {n for e in self.equations.values() for n in e.names}
        self.read = read & set(totals)  # totals whose share of a step is used at that step
        sources = [*self.carried, *outside & carried.keys(), *self.handed_back]
        self.recurrent = self._dependents(sources)
        self.hoisted: dict[Any, str] = {}
        self.waiting: Equations = {}  # what was hoisted
        self.late: Equations = {}  # what is summed up over time and has no name of its own

    def parts(self) -> tuple[list[list[Operation]], set[str]]:
        """Return the operations before, in and after the loop, and the names that all steps keep."""
        looped_names = self._looped()
        self._inline(looped_names)
        names = [n for n in self.equations if n not in self.totals and n not in looped_names]
        sums = [name for name in self.totals if name not in looped_names]
        self.schedule.totals = [self._total(name) for name in sums]
        looped = {n: self._without_hoisted(self.equations[n], n) for n in looped_names}
        looped = {self._share(n) if n in self.totals else n: e for n, e in looped.items()}
        ahead = {n: self.equations[n] for n in names if n not in self.recurrent} | self.waiting
        behind = {n: self.equations[n] for n in names if n in self.recurrent} | self.late
        for part in (ahead, behind):
            part |= {name: self._with_constants(e, name) for name, e in part.items()}
        self._keep_what_comes_back(looped, behind)
        stored = self._stored(looped, ahead, behind)
        return [_Products(self, part).operations() for part in (ahead, looped, behind)], stored

    def new(self, name: str, shape: Shape) -> str:
        """Return a name that is free, `name` or that with a number."""
        numbered = itertools.chain([name], (f"{name}.{k}" for k in itertools.count(2)))
        free = next(n for n in numbered if n not in self.schedule.shapes)
        self.schedule.shapes[free] = shape
        return free

    def is_product(self, e: Expression) -> bool:
        """Whether it is a weight, or a transposed one, times columns."""
        if e.operation != "product":
            return False
        weight = e.operands[0].operands[0] if _is_transposed(e) else e.operands[0]
        columns = e.operands[1].shape[1] == "m" and not self._is_constant(e.operands[1])
        return weight.name in self.constant and columns

    def _repeated(self) -> Expression | None:
        """Return the largest expression that occurs more than once and has no name."""
        nodes = [node for e in self.equations.values() for node in e.nodes() if node.operands]
        counts = Counter(node.key for node in nodes if node.operation != "transpose")
        found = [node for node in nodes if counts[node.key] > 1]
        return max(found, key=lambda node: len(list(node.nodes())), default=None)

    def _name(self, repeated: Expression) -> None:
        """Give an expression that occurs more than once a name, that of its equation if it has one."""
        roots = [name for name, e in self.equations.items() if e.key == repeated.key]
        name = roots[0] if roots else self.new("e.1", repeated.shape)
        named = Expression.quantity(name, repeated.shape)
        changed = {n: e.with_named(repeated.key, named) for n, e in self.equations.items()}
        first = next(n for n, e in self.equations.items() if changed[n] is not e)
        before = list(self.equations)[: list(self.equations).index(first)]
        self.equations = {n: changed[n] for n in before} | {name: repeated} | {
            n: e for n, e in changed.items() if n not in before and n != name
        }  # fmt: skip

    def _take_constants(self) -> None:
        """Quantities that come from parameters only are no matter of steps."""
        for name, e in list(self.equations.items()):
            if self._is_constant(e) and name not in (*self.totals, *self.carried.values()):
                self.schedule.constants[name] = self.equations.pop(name)
                self.constant.add(name)

    def _add_to_carried(self, outside: frozenset[str]) -> None:
        """What is added to what comes from the next step makes an equation of its own."""
        for name in outside & self.carried.keys():
            shape = self.schedule.shapes[name]
            before = self.new(f"in.{name}", shape)
            given = Expression.quantity(before, shape), Expression.quantity(f"up.{name}", shape)
            self.equations = {name: Expression("add", given, shape), **self.equations}
            self.carried = {before if key == name else key: s for key, s in self.carried.items()}
        self.schedule.carried = self.carried

    def _looped(self) -> list[str]:
        """Return what has to be in the loop: what feeds the next step and depends on the one before,
        and what takes the columns of a step together.
        """
        mixing: set[str] = set()
        for name, e in self.equations.items():
            alone = name in self.totals or self._mixes(e) or e.names & mixing
            if alone and not self._is_summed_over_time(name):
                mixing.add(name)
        self.recurrent |= mixing
        feeding = reachable(self.equations, self.carried.values()).keys() & self.recurrent
        needed = reachable(self.equations, [*mixing, *feeding]).keys() & self.recurrent
        return [name for name in self.equations if name in needed]

    def _mixes(self, e: Expression) -> bool:
        """Whether an expression takes the columns of a step together, so that steps stay apart."""
        if e.operation in ("over_batch", "transpose") and not self._is_constant(e):
            return True
        if e.operation == "quantity" and not self._is_constant(e):
            return e.shape[1] != "m"
        if e.operation == "product" and not self._is_constant(e.operands[0]):
            return True
        return any(map(self._mixes, e.operands))

    def _is_summed_over_time(self, name: str) -> bool:
        known = name in self.totals and name not in self.read
        return known and self._sums(self.equations[name]) is not None

    def _sums(self, e: Expression, sign: int = 1) -> list[tuple[int, Expression, Any]] | None:
        """Take a share of a total apart into products of columns, and sums over them, if it is such."""
        if e.operation in SIGNS:
            left, right = e.operands
            one, other = self._sums(left, sign), self._sums(right, sign * SIGNS[e.operation])
            return None if one is None or other is None else one + other
        if e.operation == "negative":
            return self._sums(e.operands[0], -sign)
        if e.operation == "over_batch" and self._is_columns(e.operands[0]):
            return [(sign, e.operands[0], None)]
        if e.operation == "product" and e.operands[1].operation == "transpose":
            factors = e.operands[0], e.operands[1].operands[0]
            if all(map(self._is_columns, factors)):
                return [(sign, *factors)]
        return None

    def _is_columns(self, e: Expression) -> bool:
        return bool(e.shape) and e.shape[1] == "m" and not self._mixes(e)

    def _is_constant(self, e: Expression) -> bool:
        return e.names <= self.constant

    def _varies(self, e: Expression) -> bool:
        return bool(e.names & self.recurrent)

    def _stays(self, e: Expression) -> bool:
        """Whether an expression of the loop has to stay there."""
        return self._varies(e) or self._mixes(e)

    def _dependents(self, sources: Iterable[str]) -> set[str]:
        found = set(sources)
        for name, e in self.equations.items():
            if e.names & found:
                found.add(name)
        return found

    def _inline(self, looped: list[str]) -> None:
        """Put what has one use in the loop, and is not asked for, in its place there."""
        uses = Counter(leaf.name for e in self.equations.values() for leaf in e.leaves())
        held = {*self.keep, *self.carried, *self.carried.values(), *self.totals}
        for name in list(looped):
            users = [n for n in looped if name in self.equations[n].names]
            if name not in held and uses[name] == 1 and users:
                e = self.equations.pop(name)
                self.equations[users[0]] = self.equations[users[0]].substituted({name: e})
                looped.remove(name)

    def _total(self, name: str) -> Total:
        sums = self._sums(self.equations[name]) or []
        return Total(name, tuple(
            (sign, self._named(left, f"t{k}.{name}"),
             "" if right is None else self._named(right, f"u{k}.{name}"))
            for k, (sign, left, right) in enumerate(sums)
        ))  # fmt: skip

    def _share(self, name: str) -> str:
        """Return the name of what a step adds to a total that only the loop can add up."""
        shape = self.schedule.shapes[name]
        share = name if name in self.read else self.new(f"t.{name}", shape)
        self.schedule.shares.append((name, Expression.quantity(share, shape)))
        return share

    def _named(self, e: Expression, name: str) -> str:
        """Return the name of a quantity, or give an expression one."""
        if e.operation == "quantity":
            return e.name
        self.schedule.shapes[name] = e.shape
        (self.late if self._varies(e) else self.waiting)[name] = e
        return name

    def _without_hoisted(self, e: Expression, name: str) -> Expression:
        """Return an expression of the loop with names for all that does not depend on the step before."""
        if not self._stays(e):
            return self._hoist(e, f"k.{name}")
        if e.operation in SIGNS:
            return self._sum_without_hoisted(e, name)
        if e.operation == "multiply":
            factors = e.factors()
            fixed = [x for x in factors if not self._stays(x)]
            moving = [self._without_hoisted(x, name) for x in factors if self._stays(x)]
            return multiplied(
                [self._hoist(multiplied(fixed), f"k.{name}"), *moving] if fixed else moving
            )
        return e.with_operands(self._without_hoisted(x, name) for x in e.operands)

    def _sum_without_hoisted(self, e: Expression, name: str) -> Expression:
        terms = e.terms()
        fixed = [(sign, x) for sign, x in terms if not self._stays(x)]
        moving = [(s, self._without_hoisted(x, name)) for s, x in terms if self._stays(x)]
        if not fixed:
            return summed(moving)
        waiting = self._hoist(summed(fixed), f"p.{name}")
        with_product = any(self.is_product(x) for _, x in moving)
        if with_product and waiting.name in self.parameters:  # a bias alone waits as any term does
            name = self.new(f"p.{name}", e.shape)
            self.waiting[name] = waiting
            waiting = Expression.quantity(name, e.shape)
        return summed([(1, waiting), *moving])

    def _hoist(self, e: Expression, name: str) -> Expression:
        """Give what waits for the loop a name, one for equal expressions; quantities need none."""
        constant = self._is_constant(e)
        if not e.operands or (constant and e.operation == "transpose" and e.operands[0].name):
            return e
        if e.key not in self.hoisted:
            name = self.new(f"c.{name}" if constant else name, e.shape)
            (self.schedule.constants if constant else self.waiting)[name] = e
            self.hoisted[e.key] = name
            self.constant |= {name} if constant else set()
        return Expression.quantity(self.hoisted[e.key], e.shape)

    def _with_constants(self, e: Expression, name: str) -> Expression:
        """Return an expression with names for what comes from parameters only."""
        if e.operands and self._is_constant(e):
            return self._hoist(e, name)
        return e.with_operands(self._with_constants(x, name) for x in e.operands)

    def _keep_what_comes_back(self, looped: Equations, behind: Equations) -> None:
        """What comes from the step after, and goes to the one before, has one place for all steps:
        where it is asked for after the loop, a copy is kept.
        """
        comes = {key for key, name in self.carried.items() if name in self.handed_back}
        for name in comes | self.handed_back:
            copy = Expression.quantity(f"n.{name}", self.schedule.shapes[name])
            used = any(name in e.names for e in behind.values())
            if used or any(name in total.names for total in self.schedule.totals):
                self.new(copy.name, copy.shape)
                looped[copy.name] = Expression.quantity(name, copy.shape)
                for other, e in behind.items():
                    behind[other] = e.substituted({name: copy})
                totals = self.schedule.totals
                self.schedule.totals = [total.renamed(name, copy.name) for total in totals]

    def _stored(self, *parts: Equations) -> set[str]:
        """What all steps keep: what is asked for, the states, and what is used after the loop."""
        behind = parts[-1]
        used = {n for e in behind.values() for n in e.names}
        used |= {n for total in self.schedule.totals for n in total.names}
        wanted = self.keep | used | self.states | behind.keys()
        return {name for part in parts for name in part if name in wanted}


class _Products:
    """Takes the products out of the equations of one part, and stacks them."""

    def __init__(self, hoisting: Hoisting, equations: Equations):
        self.hoisting, self.new = hoisting, hoisting.new
        self.equations: Equations = {}
        self.by_operand: dict[Any, list[tuple[str, str]]] = {}  # with the results and weights
        self.summed: list[Product] = []
        for name, e in equations.items():
            self.equations[name] = self._without_products(e, name, root=True)

    def operations(self) -> list[Operation]:
        stacked = []
        for (operand, _), pairs in self.by_operand.items():
            names, weights = zip(*pairs, strict=True)
            stacked.append(Product(names, weights, (operand,)))
        rest = [Elementwise((n,), (e,)) for n, e in self.equations.items() if e.name != n]
        return [*stacked, *self.summed, *rest]

    def _without_products(self, e: Expression, name: str, root: bool) -> Expression:
        """Return an expression with names for its products; a sum of them that is not the whole
        equation gets a name, too.
        """
        if not any(self.hoisting.is_product(x) for _, x in e.terms()):
            return e.with_operands(self._without_products(x, name, False) for x in e.operands)
        terms = e.terms()
        products = [(s, x) for s, x in terms if self.hoisting.is_product(x)]
        others = [(s, x) for s, x in terms if not self.hoisting.is_product(x)]
        rest = [(sign, self._without_products(x, name, False)) for sign, x in others]
        added = [x for sign, x in products if sign > 0 and _is_transposed(x)]
        taken: Terms = []
        if added:
            result = self._result(name, e, root and len(added) == len(terms))
            taken.append((1, self._added_up(added, result, name)))
        for sign, x in products:
            if not any(x is other for other in added):
                before = name not in self.hoisting.recurrent  # then it waits where its sum will be
                first = root and before and x is products[0][1] and sign > 0
                taken.append((sign, self._stacked(x, self._result(name, x, first), name)))
        if root:
            return summed([*taken, *rest])
        inside = self.new(f"s.{name}", e.shape)
        self.equations[inside] = summed([*taken, *rest])
        return Expression.quantity(inside, e.shape)

    def _result(self, name: str, e: Expression, alone: bool) -> str:
        return name if alone else self.new(f"r.{name}", e.shape)

    def _added_up(self, products: list[Expression], result: str, name: str) -> Expression:
        operands = tuple(self._operand(x.operands[1], name) for x in products)
        weights = tuple(x.operands[0].operands[0].name for x in products)
        self.summed.append(Product((result,), weights, operands, transposed=True))
        return Expression.quantity(result, products[0].shape)

    def _stacked(self, x: Expression, result: str, name: str) -> Expression:
        if _is_transposed(x):
            return self._added_up([x], result, name)
        operand = self._operand(x.operands[1], name)
        self.by_operand.setdefault((operand, x.shape), []).append((result, x.operands[0].name))
        return Expression.quantity(result, x.shape)

    def _operand(self, e: Expression, name: str) -> str:
        """Return the name of what a product takes; what has none gets one."""
        e = self._without_products(e, name, root=False)
        if e.operation == "quantity":
            return e.name
        inside = self.new(f"v.{name}", e.shape)
        self.equations[inside] = e
        return inside


def _is_transposed(product: Expression) -> bool:
    return product.operands[0].operation == "transpose"


def reachable(equations: Equations, names: Iterable[str]) -> Equations:
    """Return the equations that are needed for `names`, in their order."""
    needed: set[str] = set()
    waiting = [name for name in names if name in equations]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += [n for n in equations[name].names if n in equations]
    return {name: e for name, e in equations.items() if name in needed}
