"""Every edit of an equation that a person makes by mistake, simplest first.

An edit takes one place of an expression: a leaf (another step, a neighbour, transposed), a sum
(a term missing, twice, with the other sign), a ∘ product, a matrix product, a function, a reduction.
Nothing here knows a cell: what may stand for what is read from the table's shapes.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from unrolled.activations import ACTIVATIONS
from unrolled.checking.replay.values import OVER_TIME, SOFTMAXES, SOFTPLUSES
from unrolled.equations.expressions import SIGNS, Expression, combined, multiplied, summed
from unrolled.equations.symbols import Symbol, expression
from unrolled.equations.table import Table
from unrolled.notation import Shape

FUNCTIONS = ("tanh", "sigmoid", "relu")
ONE = Expression("number", value=1.0)
ZERO = Expression("number", value=0.0)
WILD = 4.0  # the cost from which on an edit is one that few people make


@dataclass(frozen=True, slots=True)
class Edit:
    """`whole` is the edited expression: it has `new` where the right one has `old`.

    `id` says of what sort it is, `about` which term or factor it is about; `cost` is low where it is simple.
    """

    id: str
    cost: float
    old: Expression
    new: Expression
    whole: Expression
    about: Expression | None = None


class Rewrite(NamedTuple):
    """What stands in a node's place; `about` is the term or factor that it is about."""

    id: str
    cost: float
    new: Expression
    about: Expression | None = None


@dataclass(frozen=True)
class Scope:
    """What may stand in an equation: the quantities of the table, forward ones only or all."""

    table: Table
    forward_only: bool
    wild: bool = False  # also what few people write
    quantity: str = ""  # that of which it is the equation

    @classmethod
    def around(
        cls, form: Expression, table: Table, wild: bool = False, quantity: str = ""
    ) -> "Scope":
        """Return the scope of one form of an equation: a forward one has no gradients."""
        forward = {*table.step.parameters, *table.step.whole.given}
        only = form.names <= forward | {e.name for e in table.of("forward")}
        return cls(table, only, wild, quantity)

    @cached_property
    def states(self) -> tuple[str, ...]:
        return self.table.step.states

    @cached_property
    def neighbours(self) -> dict[object, list[str]]:
        """The names of the quantities of each shape, those of parameters apart."""
        found: dict[object, list[str]] = {}
        gradients = {f"d{name}" for name in self.table.step.parameters}
        for name, shape in self.table.shapes.items():
            if name in gradients or (self.forward_only and self._is_gradient(name)):
                continue
            found.setdefault((name in self.table.per_step, shape), []).append(name)
        return found

    def _is_gradient(self, name: str) -> bool:
        return name[:1] == "d" and name[1:].removesuffix("_next").removesuffix(
            "_prev"
        ).removesuffix("_y") in {*self.table.shapes}

    def akin(self, name: str, other: str) -> bool:
        """Return whether both are gradients, or neither is."""
        return self._is_gradient(name) == self._is_gradient(other)

    def like(self, leaf: Expression) -> list[str]:
        """Return the other quantities of a leaf's shape and kind."""
        kind = (leaf.name in self.table.per_step, leaf.shape)
        return [name for name in self.neighbours.get(kind, []) if name != leaf.name]

    def partner(self, name: str) -> str | None:
        """Return what is stacked with a quantity in one array: x with a⟨t−1⟩, W_fx with W_fa."""
        pairs = [("a_prev", "x"), ("da_prev", "dx")]
        for to in self.table.step.parameters:
            if to.endswith("x") and f"{to[:-1]}a" in self.table.step.parameters:
                pairs += [(f"{d}{to[:-1]}a", f"{d}{to}") for d in ("", "d")]
        partners = {p: q for pair in pairs for p, q in (pair, pair[::-1])}
        return partners.get(name)

    def moved(self, name: str, by: int) -> str:
        """Return the name of a quantity `by` steps later."""
        base, step = name, by
        if name.removesuffix("_prev") in self.states and name.endswith("_prev"):
            base, step = name.removesuffix("_prev"), by - 1
        if base in self.states and step == -1:
            return f"{base}_prev"
        return f"{base}@{step:+d}" if step else base


def edits(whole: Expression, scope: Scope) -> Iterator[Edit]:
    """Yield every edit of one place of an expression."""
    for node, around, rebuild in places(whole):
        for rule in _RULES:
            for r in rule(node, around, scope):
                yield Edit(r.id, r.cost, node, r.new, rebuild(r.new), r.about)
    yield from _everywhere(whole, scope)


def places(
    node: Expression, rebuild: Callable[[Expression], Expression] = lambda new: new, around: str = ""
) -> Iterator[tuple[Expression, str, Callable[[Expression], Expression]]]:  # fmt: skip
    """Yield every node, the operation around it, and how the whole is built with another there."""
    yield node, around, rebuild
    for k, operand in enumerate(node.operands):

        def build(new: Expression, k: int = k) -> Expression:
            operands = node.operands
            return rebuild(node.with_operands((*operands[:k], new, *operands[k + 1 :])))

        yield from places(operand, build, node.operation)


def _everywhere(whole: Expression, scope: Scope) -> Iterator[Edit]:
    """Yield the edits of a quantity that stands in several places, made in all of them."""
    leaves = list(whole.leaves())
    for leaf in {leaf.name: leaf for leaf in leaves}.values():
        if sum(other.name == leaf.name for other in leaves) > 1:
            for rule in (_steps, _neighbours, _functions_of):
                for r in rule(leaf, "", scope):
                    yield Edit(r.id, r.cost, leaf, r.new, whole.substituted({leaf.name: r.new}))


def _named(name: str, like: Expression) -> Expression:
    return _leaf(name, like.shape)


@functools.cache  # one leaf for a name, so that its value is looked up once
def _leaf(name: str, shape: Shape) -> Expression:
    return Expression.quantity(name, shape)


_KINDS_OF_STEPS = {
    "wrapped": "wrapped_index", "late": "other_step", "early": "other_step", "after": "other_step",
    "early zeroed": "other_step",
}  # fmt: skip


def _steps(node: Expression, around: str, scope: Scope) -> Iterator[Rewrite]:
    """The same quantity at another step, or what stands where there is no step before."""
    if node.operation != "quantity" or node.name not in scope.table.per_step or around == "first":
        return
    name, base = node.name, node.name.removesuffix("_prev")
    for by in (-1, 1):
        yield Rewrite("other_step", 1.0, _named(scope.moved(name, by), node))
    if base != name and base in scope.states:
        for at in ("wrapped", "zeroed", "initial", "late", "early", "early zeroed", "after"):
            kind = _KINDS_OF_STEPS.get(at, "initial_state")
            yield Rewrite(kind, 0.9, _named(f"{base}@{at}", node))
    if name.endswith("_next"):
        yield Rewrite("loop_order", 0.9, _named(f"{name}@reversed", node))
    else:
        yield Rewrite("mirrored_steps", 1.3, _named(f"{name}@mirrored", node))
    for at in ("first", "last"):
        yield Rewrite(
            "other_step", 1.3, _named(f"{base if base in scope.states else name}@{at}", node)
        )
    for by in (-2, 2):
        yield Rewrite("other_step", 1.6, _named(scope.moved(name, by), node))
    for at in ("example", "feature"):
        yield Rewrite(
            "axes_mixed", 1.4, _named(f"{base if base in scope.states else name}@{at}", node)
        )


def _neighbours(node: Expression, _: str, scope: Scope) -> Iterator[Rewrite]:
    """Another quantity of the same shape; 0; at another step too, where the search is wild."""
    if node.operation != "quantity":
        return
    for name in scope.like(node):
        previous = _is_previous(name, scope)
        same_base = name.removesuffix("_prev") == node.name.removesuffix("_prev")
        kind = (
            "other_step" if same_base and previous != node.name.endswith("_prev") else "neighbour"
        )
        cost = 1.0 if kind == "other_step" else 1.1 if scope.akin(name, node.name) else 1.6
        yield Rewrite(kind, cost, _named(name, node))
        if _is_previous(node.name, scope) and not name.endswith(("_prev", "_next")):
            carried = f"{name}@carried_{node.name.removesuffix('_prev')}"
            yield Rewrite("neighbour", 1.2, _named(carried, node))
        if scope.wild and node.name in scope.table.per_step:
            for by in (-1, 1):
                yield Rewrite("neighbour", WILD, _named(scope.moved(name, by), node))
    given = {"x": "y", "y": "x"}.get(node.name)
    if given in scope.table.shapes:  # where both are symbols of one alphabet
        yield Rewrite("neighbour", 1.3, _named(given, node))
    if node.name == "y":
        for whole in (Expression("of_all_columns", (node,), node.shape), _named("y@any", node)):
            yield Rewrite("labels_of_all", 1.3, whole)
    if scope.wild:
        yield Rewrite("missing_factor", WILD, ONE)


def _is_previous(name: str, scope: Scope) -> bool:
    """Whether a quantity is a state of the step before."""
    return name.endswith("_prev") and name.removesuffix("_prev") in scope.states


def _instead(node: Expression, around: str, scope: Scope) -> Iterator[Rewrite]:
    """Another quantity in the place of the whole equation."""
    if node.operation != "quantity" and around in ("", *OVER_TIME) and node.shape:
        for name in scope.neighbours.get((True, node.shape), []):
            yield Rewrite("neighbour", 2.0, _named(name, node))


def _stacked(node: Expression, around: str, scope: Scope) -> Iterator[Rewrite]:
    """Another block of [a; x], of [da_prev; dx], of [W_fa W_fx], or all of it: p is cut from [p; q] or [q; p]."""
    whole = around in ("", *OVER_TIME)
    name = scope.quantity if whole else node.name
    partner = scope.partner(name)
    if partner is None:
        return
    p, q = (_named_as(n, scope) for n in (name, partner))
    columns = name.removeprefix("d") in scope.table.step.parameters
    for operation, operands in (("last", (p, q)), ("first", (q, p))):
        axis = "columns" if columns else "rows"
        yield Rewrite(
            "other_block", 1.2, Expression(f"{operation}_{axis}", (*operands, p), p.shape)
        )
        yield Rewrite("not_split", 1.3, Expression(f"beside_{axis}", operands, p.shape))


def _named_as(name: str, scope: Scope) -> Expression:
    return _leaf(name, scope.table.shapes[name])


def _transposed(node: Expression, around: str, _: Scope) -> Iterator[Rewrite]:
    if node.operation == "transpose":
        yield Rewrite("transposed", 1.0, node.operands[0])
    elif node.operation == "quantity" and node.shape and around != "transpose":
        yield Rewrite("transposed", 1.1, _transpose(node))
        if 1 in node.shape:
            yield Rewrite("shape", 1.5, Expression("flat", (node,), node.shape))
    elif node.operation in ("beside_rows", "beside_columns"):
        first, second = node.operands
        yield Rewrite("transposed", 1.1, _transpose(node))
        yield Rewrite("stacked_otherwise", 1.1, node.with_operands((second, first)))
        yield Rewrite("not_stacked", 1.2, first)
        yield Rewrite("not_stacked", 1.2, second)


def _transpose(node: Expression) -> Expression:
    if node.operation == "transpose":
        return node.operands[0]
    return Expression("transpose", (node,), node.shape[::-1])


def _functions_of(node: Expression, around: str, scope: Scope) -> Iterator[Rewrite]:
    """A function applied once more, or one that has no place there; 1 − u for u."""
    if node.operation != "quantity" or node.name not in scope.table.per_step or around in OVER_TIME:
        return
    for name in FUNCTIONS:
        yield Rewrite("applied_again", 1.8, Expression(name, (node,), node.shape))
    yield Rewrite("complement", 1.7, combined("subtract", ONE, node))
    if around != "square":
        yield Rewrite("squared", 2.0, Expression("square", (node,), node.shape))


def _function(node: Expression, _: str, scope: Scope) -> Iterator[Rewrite]:
    """Another function, none, twice; its bracket closed early."""
    if node.operation in ("log", "exp"):
        yield Rewrite("not_applied", 1.2, node.operands[0])
    if node.operation not in ACTIVATIONS or len(node.operands) != 1:
        return
    (operand,) = node.operands
    yield Rewrite("not_applied", 1.2, operand)
    yield Rewrite("applied_again", 1.2, Expression(node.operation, (node,), node.shape))
    for name in (*FUNCTIONS, "softmax", "leaky_relu"):
        if name != node.operation:
            yield Rewrite("other_function", 1.3, Expression(name, (operand,), node.shape))
    if node.operation == "softmax":
        for name in SOFTMAXES:
            kind = "softmax_not_shifted" if name.endswith("none_sum_columns") else "other_axis"
            yield Rewrite(kind, 1.1, Expression(name, (operand,), node.shape))
        for name in ("exp", "exp_shifted"):
            yield Rewrite("not_normalised", 1.1, Expression(name, (operand,), node.shape))
    yield from _closed_early(node, operand)


def _closed_early(node: Expression, operand: Expression) -> Iterator[Rewrite]:
    """The last terms outside of the bracket; or one of them, in the order in which they wrote it."""
    terms = operand.terms()
    kept = [terms[:k] for k in range(1, len(terms))]
    others = range(len(terms) - 1) if len(terms) > 2 else ()
    for inside in [*kept, *([*terms[:k], *terms[k + 1 :]] for k in others)]:
        outside = [term for term in terms if term not in inside]
        applied = Expression(node.operation, (summed(inside),), node.shape)
        yield Rewrite("bracket", 1.9, summed([(1, applied), *outside]))


def _softplus(node: Expression, _: str, scope: Scope) -> Iterator[Rewrite]:
    """log(1 + exp(z)), as people write it that it does not overflow, with a part of that missing."""
    for name in SOFTPLUSES if node.operation == "softplus" else ():
        yield Rewrite("softplus", 1.1, Expression(name, node.operands, node.shape))


def _sum(node: Expression, around: str, scope: Scope) -> Iterator[Rewrite]:
    """A term missing, twice, with the other sign; one too many."""
    if around in SIGNS:
        return
    terms = node.terms()
    if len(terms) > 1:
        for k, (sign, term) in enumerate(terms):
            rest = [*terms[:k], *terms[k + 1 :]]
            yield Rewrite("missing_term", 1.0, summed(rest), term)
            yield Rewrite(
                "other_sign", 1.2, summed([*terms[:k], (-sign, term), *terms[k + 1 :]]), term
            )
            yield Rewrite("term_twice", 1.5, summed([*terms, (sign, term)]), term)
            yield Rewrite("only_term", 2.2, summed([(sign, term)]))
        if len(terms) == 2:
            yield Rewrite("product_for_sum", 2.5, multiplied([term for _, term in terms]))
    elif around and around not in ("transpose", "square", *OVER_TIME) and node.shape:
        yield Rewrite("other_sign", 1.9, Expression("negative", (node,), node.shape))
    if scope.wild and node.shape and (len(terms) > 1 or not around):
        for name in scope.neighbours.get((True, node.shape), []):
            for sign in (1, -1):
                yield Rewrite(
                    "additional_term",
                    4.0,
                    summed([*terms, (sign, _named(name, node))]),
                    _named(name, node),
                )


def _product(node: Expression, around: str, scope: Scope) -> Iterator[Rewrite]:
    """A ∘ product: a factor missing, twice, additional; its bracket closed early."""
    if around == "multiply" or not node.shape:
        return
    factors = node.factors()
    for k, factor in enumerate(factors if len(factors) > 1 else []):
        rest = [*factors[:k], *factors[k + 1 :]]
        yield Rewrite("missing_factor", 1.0, multiplied(rest), factor)
        yield Rewrite("factor_twice", 2.1, multiplied([*factors, factor]), factor)
        yield Rewrite("only_factor", 2.4, factor)
        yield Rewrite("quotient", 2.6, combined("divide", multiplied(rest), factor), factor)
        yield from _bracket(factor.terms(), rest)
    for g, q, around_it in _derivatives(node, factors):
        yield from _other_derivatives(g, q, around_it, scope)
    if scope.wild and around not in ("transpose", "square", *OVER_TIME):
        for name in scope.neighbours.get((True, node.shape), []):
            leaf = _named(name, node)
            for factor in (leaf, combined("subtract", ONE, leaf), _slope("tanh", leaf)):
                yield Rewrite("additional_factor", WILD, multiplied([*factors, factor]), factor)


def _bracket(terms: list[tuple[int, Expression]], rest: list[Expression]) -> Iterator[Rewrite]:
    """(x + y) ∘ f as x + y ∘ f: the factors in `chosen` reach one of the terms only, or all but one."""
    if len(terms) == 1 or len(rest) > 5:
        return
    for bits in range(1, 2 ** len(rest)):
        chosen = [factor for k, factor in enumerate(rest) if bits >> k & 1]
        others = [factor for k, factor in enumerate(rest) if not bits >> k & 1]
        for k, (_, alone) in enumerate(terms):
            if not alone.shape:
                continue
            for reached in ({k}, {*range(len(terms))} - {k}):
                parts = [
                    (sign, multiplied([term, *others, *(chosen if j in reached else [])]))
                    for j, (sign, term) in enumerate(terms)
                ]
                yield Rewrite("bracket", 1.9 + 0.1 * len(others), summed(parts))


@functools.cache
def _written(g: str) -> Expression:
    """What the backward of g writes down, on slots: an edited shape need not fit."""
    slots = (Expression.quantity(name, ("n", "m")) for name in ("rest", "q"))
    return expression(ACTIVATIONS[g].backward(*map(Symbol, slots)))


def _backward(g: str, rest: Expression, q: Expression) -> Expression:
    return _written(g).substituted({"rest": rest, "q": q})


def _slope(g: str, q: Expression) -> Expression:
    """The derivative of g, by its value q."""
    seed = Expression.quantity("seed", q.shape)
    return multiplied([factor for factor in _backward(g, seed, q).factors() if factor is not seed])


def _derivatives(
    node: Expression, factors: list[Expression]
) -> Iterator[tuple[str, Expression, Expression | None]]:
    """Yield (g, q, rest) where the node is the derivative of g at its value q, times the rest."""
    if node.operation == "where" and node.operands[0].operands:
        for g in ("relu", "leaky_relu"):
            q = node.operands[0].operands[0]
            rest = node.operands[1]
            if _backward(g, rest, q).key == node.key:
                yield g, q, rest
        return
    values = {leaf.key: leaf for factor in factors for leaf in factor.leaves()}
    for g in ("tanh", "sigmoid"):
        for q in values.values():
            wanted = [factor.key for factor in _slope(g, q).factors()]
            left = [factor for factor in factors if factor.key not in wanted]
            if len(factors) - len(left) == len(wanted):
                yield g, q, multiplied(left) if left else None


def _other_derivatives(
    g: str, q: Expression, rest: Expression | None, scope: Scope
) -> Iterator[Rewrite]:
    """A function for its derivative, the derivative of another function, of it at another place."""

    def times(factor: Expression) -> Expression:
        return factor if rest is None else multiplied([rest, factor])

    def slope(h: str, at: Expression) -> Expression:
        return _slope(h, at) if rest is None and h != "relu" else _backward(h, rest or ONE, at)

    if rest is not None:
        yield Rewrite("derivative_missing", 1.0, rest)
    places = [("derivative_applied_again", 1.0, Expression(h, (q,), q.shape)) for h in FUNCTIONS]
    places += [(r.id, 0.1 + r.cost, r.new) for r in _at_other_places(q, scope)]
    for h in FUNCTIONS:
        yield Rewrite("function_for_derivative", 1.0, times(Expression(h, (q,), q.shape)))
        if h != g:
            yield Rewrite("other_derivative", 1.4, slope(h, q))
        for kind, cost, place in places:
            yield Rewrite(kind, cost + 0.5 * (h != g), slope(h, place))
    yield Rewrite("derivative_twice", 1.7, _backward(g, slope(g, q), q))
    yield Rewrite("derivative_square", 1.4, times(combined("subtract", ONE, q)))
    whole_bracket = Expression("square", (combined("subtract", ONE, q),), q.shape)
    yield Rewrite("derivative_square", 1.4, times(whole_bracket))
    yield Rewrite(
        "derivative_square", 1.5, times(combined("add", ONE, Expression("square", (q,), q.shape)))
    )


def _at_other_places(q: Expression, scope: Scope) -> Iterator[Rewrite]:
    """Where else a derivative may have been taken: another step, another quantity, before g."""
    if q.operation != "quantity":
        return
    yield from _steps(q, "", scope)
    yield from _neighbours(q, "", scope)
    for equation in scope.table.of("forward"):
        if equation.name == q.name and equation.expression.operation in ACTIVATIONS:
            yield Rewrite("derivative_before", 1.2, equation.expression.operands[0])


def _square(node: Expression, _: str, scope: Scope) -> Iterator[Rewrite]:
    """The square lost, or put around the whole bracket."""
    if node.operation == "square":
        yield Rewrite("square_lost", 1.0, node.operands[0])
    if node.operation == "subtract" and node.operands[1].operation == "square":
        one, (q,) = node.operands[0], node.operands[1].operands
        inside = combined("subtract", one, q)
        yield Rewrite("square_moved", 1.2, Expression("square", (inside,), node.shape))
        for name in FUNCTIONS:
            again = Expression(name, (q,), q.shape)
            square = Expression("square", (again,), q.shape)
            yield Rewrite("derivative_applied_again", 1.5, combined("subtract", one, square))
            yield Rewrite("derivative_square", 2.0, combined("subtract", one, again))


def _matrices(node: Expression, _: str, scope: Scope) -> Iterator[Rewrite]:
    """A matrix product: operands exchanged, elementwise, a bracket moved across it."""
    if node.operation == "multiply":
        left, right = node.operands
        yield Rewrite("matrix_for_elementwise", 2.0, _at(left, right))
        yield Rewrite("matrix_for_elementwise", 2.1, _at(right, left))
        yield Rewrite("matrix_for_elementwise", 2.2, _at(left, _transpose(right)))
        yield Rewrite("matrix_for_elementwise", 2.2, _at(_transpose(left), right))
    if node.operation != "product":
        return
    left, right = node.operands
    yield Rewrite("transposed", 1.0, _at(_transpose(right), _transpose(left)))
    yield Rewrite("exchanged", 1.1, _at(right, left))
    yield Rewrite("exchanged", 1.2, _at(_transpose(left), _transpose(right)))
    for a, b in ((left, _transpose(right)), (_transpose(left), right)):
        yield Rewrite("exchanged", 1.3, _at(a, b))
        yield Rewrite("exchanged", 1.3, _at(b, a))
        yield Rewrite("elementwise", 1.4, Expression("multiply", (a, b), node.shape))
    yield Rewrite("elementwise", 1.4, Expression("multiply", (left, right), node.shape))
    yield Rewrite("elementwise", 1.4, Expression("multiply", (_transpose(left), right), node.shape))
    yield from _moved_bracket(left, right)


def _moved_bracket(left: Expression, right: Expression) -> Iterator[Rewrite]:
    """(A ∘ B) C as A ∘ (B C); A (B ∘ C) as (A B) ∘ C; a factor of one operand moved to the other."""
    turned = right.operation == "transpose"
    bare = right.operands[0] if turned else right
    for k, factor in enumerate(left.factors() if left.operation == "multiply" else []):
        rest = multiplied([*left.factors()[:k], *left.factors()[k + 1 :]])
        yield Rewrite(
            "bracket_moved", 1.5, Expression("multiply", (factor, _at(rest, right)), left.shape)
        )
        moved = multiplied([bare, factor])
        yield Rewrite("factor_moved", 1.5, _at(rest, _transpose(moved) if turned else moved))
    for k, factor in enumerate(bare.factors() if bare.operation == "multiply" else []):
        rest = multiplied([*bare.factors()[:k], *bare.factors()[k + 1 :]])
        inner = _transpose(rest) if turned else rest
        outside = _transpose(factor) if turned else factor
        yield Rewrite(
            "bracket_moved", 1.5, Expression("multiply", (outside, _at(left, inner)), right.shape)
        )
        yield Rewrite(
            "bracket_moved", 1.6, Expression("multiply", (factor, _at(left, inner)), right.shape)
        )
        yield Rewrite("factor_moved", 1.5, _at(multiplied([left, factor]), inner))


def _at(left: Expression, right: Expression) -> Expression:
    both = left.shape and right.shape  # a number has none
    shape = (*left.shape[:1], *right.shape[1:]) if both else left.shape or right.shape
    return Expression("product", (left, right), shape)


_REDUCTIONS = ("over_batch", "over_features", "over_all", "mean_batch", "mean_features", "mean_all",
               "max_batch", "max_features", "flat_batch", "flat_features")  # fmt: skip


def _reduction(node: Expression, _: str, scope: Scope) -> Iterator[Rewrite]:
    """Over the wrong axis, over none, over all; mean or largest for the sum; without keepdims."""
    if node.operation == "log_sum_exp":
        exp = Expression("exp", node.operands, node.operands[0].shape)
        for name in _REDUCTIONS:
            total = Expression(name, (exp,), node.shape)
            kind = "softmax_not_shifted" if name == "over_features" else "other_axis"
            yield Rewrite(kind, 1.5, Expression("log", (total,), node.shape))
            yield Rewrite("log_missing", 1.6, total)
        summed_up = Expression("over_features", node.operands, node.shape)
        yield Rewrite("not_applied", 1.6, Expression("log", (summed_up,), node.shape), exp)
    if node.operation not in ("over_batch", "over_features"):
        return
    (operand,) = node.operands
    yield Rewrite("not_summed", 1.0, operand)
    for name in _REDUCTIONS:
        if name != node.operation:
            kind = "mean_for_sum" if name.startswith("mean") else "other_axis"
            kind = "keepdims" if name == node.operation.replace("over", "flat") else kind
            yield Rewrite(kind, 1.1, Expression(name, (operand,), node.shape))
    factors = operand.factors()
    for k, factor in enumerate(factors if len(factors) > 1 else []):
        rest = multiplied([*factors[:k], *factors[k + 1 :]])
        yield Rewrite(
            "bracket", 1.6, multiplied([factor, Expression(node.operation, (rest,), node.shape)])
        )


def _jacobian(node: Expression, _: str, scope: Scope) -> Iterator[Rewrite]:
    """Softmax's Jacobian times dŷ: its diagonal alone, its sums over an axis, without dŷ."""
    if node.operation != "multiply" or node.operands[1].operation != "subtract":
        return
    q, (dy_hat, _rest) = node.operands[0], node.operands[1].operands
    if _backward("softmax", dy_hat, q).key != node.key:
        return
    diagonal = _slope("sigmoid", q)  # ŷ (1 − ŷ) as well
    yield Rewrite("softmax_diagonal", 0.8, multiplied([dy_hat, diagonal]))
    for name in ("jacobian_row_sums", "jacobian_column_sums"):
        sums = Expression(name, (q,), q.shape)
        yield Rewrite("softmax_summed", 0.8, multiplied([dy_hat, sums]))
        yield Rewrite("softmax_summed", 0.9, sums)
    yield Rewrite("softmax_alone", 0.9, diagonal)
    yield Rewrite("derivative_missing", 0.9, dy_hat)
    yield Rewrite("softmax_alone", 1.0, multiplied([q, dy_hat]))
    yield Rewrite("other_derivative", 1.0, multiplied([dy_hat, _slope("tanh", q)]))


def _over_time(node: Expression, _: str, scope: Scope) -> Iterator[Rewrite]:
    """A total: `=` for `+=`, a loop that is one step short, a running sum added again."""
    if node.operation == "over_time":
        for name in OVER_TIME:
            if name in ("beside", "below"):
                yield Rewrite("not_summed", 1.0, node_named(name, node))
            elif name not in ("over_time", "stacked"):
                kind = "overwritten" if name in ("first", "last") else "loop_bound"
                yield Rewrite(kind, 0.9, node_named(name, node))
        yield Rewrite("starts_at_one", 1.2, combined("add", ONE, node))
    if node.operation == "first":
        yield Rewrite("other_step", 1.0, node_named("last", node))
        yield Rewrite("summed_over_time", 1.1, node_named("over_time", node))


def node_named(operation: str, node: Expression) -> Expression:
    """Return another operation on the same operands."""
    return Expression(operation, node.operands, node.shape)


def _of_exponentials(node: Expression, around: str, scope: Scope) -> Iterator[Rewrite]:
    """The largest logit not taken off, or added, in one place of several; a quotient without its
    denominator.
    """
    if node.operation == "shifted":
        yield Rewrite("shifted_otherwise", 1.1, node.operands[0])
        yield Rewrite("shifted_otherwise", 1.2, node_named("shifted_up", node))
    elif node.operation == "divide" and node.operands[0].shape:
        yield Rewrite("not_normalised", 1.2, node.operands[0])


def _numbers(node: Expression, around: str, scope: Scope) -> Iterator[Rewrite]:
    """A number missing, doubled, halved or with the other sign."""
    if node.operation == "number" and around == "multiply":
        for value in (1.0, 2 * node.value, node.value / 2, -node.value):
            yield Rewrite("other_number", 1.5, Expression("number", value=value))
    if node.operation == "negative":
        yield Rewrite("other_sign", 1.0, node.operands[0])


def _clipped(node: Expression, around: str, scope: Scope) -> Iterator[Rewrite]:
    if scope.wild and around not in ("multiply", *SIGNS) and node.shape:
        yield Rewrite("clipped", WILD + 0.5, Expression("clipped", (node,), node.shape))


_RULES: tuple[Callable[[Expression, str, Scope], Iterator[Rewrite]], ...] = (
    _steps, _neighbours, _instead, _stacked, _transposed, _functions_of, _function, _softplus, _sum, _product, _square, _matrices,
    _jacobian, _reduction, _over_time, _of_exponentials, _numbers, _clipped,
)  # fmt: skip
