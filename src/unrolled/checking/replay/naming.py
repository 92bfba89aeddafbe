"""The search for the edit that gives the number that was seen, and the sentence that says it."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from unrolled.checking.replay.edits import ONE, WILD, ZERO, Edit, Scope, edits, places
from unrolled.checking.replay.forms import forms
from unrolled.checking.replay.pairs import pairs
from unrolled.checking.replay.saying import Sayer
from unrolled.checking.replay.values import ROUNDING, Array, Values, Witness, same, scale_of
from unrolled.checking.report import Cause
from unrolled.equations.expressions import Expression, combined

Candidate = tuple[Expression, tuple[Edit, ...]]  # a form of the right equation, its edits
MINUS = Expression("number", value=-1.0)
SOON = 500
FORMS_OF_PAIRS = 4
MOST = 2_500  # of a kind: a number and no time limit, so that a file always gets the same answer


def name_cause(
    quantity: str, witnesses: Sequence[Witness], yours: Expression | None = None
) -> Cause:
    """Return why a quantity is wrong: the simplest edit of its equation that gives every number seen.

    `witnesses` are of one place in the code, `yours` is what stands there where it could be read.
    The certainty is "exact" where the edited equation gives the numbers to rounding, "none" where
    nothing does.
    """
    search = _Search(quantity, witnesses)
    if not search.forms:
        return Cause()
    sayer = Sayer(search.table, quantity, search.total, search.right)
    if found := search.found(yours):
        return sayer.cause(*found)
    return sayer.unknown(yours if yours and search.reproduces(yours) else None)


def find(
    quantity: str, witnesses: Sequence[Witness], yours: Expression | None = None,
    stretched: bool = True,
) -> Candidate | None:  # fmt: skip
    """Return what `name_cause` says in words: the form of the right equation and its edits. Without
    `stretched` their shape has to be that of the edited equation itself.
    """
    search = _Search(quantity, witnesses, stretched)
    return search.found(yours) if search.forms else None


class _Search:
    def __init__(self, quantity: str, witnesses: Sequence[Witness], stretched: bool = True):
        self.quantity, self.witnesses, self.stretched = quantity, witnesses, stretched
        truth, t = witnesses[0].truth, witnesses[0].t
        self.total, self.table = t is None, truth.table
        self.values = {id(w.truth): Values(w.truth) for w in witnesses}
        own = forms(quantity, truth, self.total)
        one = all(np.size(w.theirs) == 1 < w.truth.problem.m for w in witnesses)
        if quantity == "losses" and one:
            self._seek([[_over_batch(form) for form in depth] for depth in own])
        if quantity != "losses" or not one or not self.telling:
            self._seek(own)

    def _seek(self, forms: list[list[Expression]]) -> None:
        """Take these forms of the equation for the right ones."""
        self.forms, self.telling = forms, False
        if forms:
            self.right = forms[0][0]
            self.places = [
                _Place(w, self.values[id(w.truth)], self.right, self.stretched)
                for w in self.witnesses
            ]
            self.places.sort(key=lambda place: not place.telling)
            self.telling = any(place.telling for place in self.places)

    def found(self, yours: Expression | None) -> Candidate | None:
        """Return the simplest candidate that gives every number; a part of theirs is the last resort."""
        kinds = [self.scales(), self.single(), self.wild(), self.pairs()]
        if yours is not None:
            kinds.append(self.grafts(yours))
        firsts = (self.first(candidates, yours) for candidates in kinds)
        return next((candidate for candidate in firsts if candidate), None)

    def reproduces(self, whole: Expression) -> bool:
        """Return whether an expression gives the number of every witness."""
        with np.errstate(all="ignore"):
            shown = self.telling and all(place.shows(whole) for place in self.places)
            # What only rounds to 0 was computed: it is not 0 times something.
            return shown and not all(place.is_zero_exactly(whole) for place in self.places)

    def first(self, candidates: Iterable[Candidate], like: Expression | None) -> Candidate | None:
        """Return the first candidate that gives every number; of those of the same form that follow
        soon and do so too, the one in their own words, `like`.
        """
        left = iter(candidates)
        first = next((c for c in left if self.reproduces(c[1][-1].whole)), None)
        if first is None or like is None:
            return first
        same_form = (c for c in itertools.islice(left, SOON) if c[0] is first[0])
        soon = (c for c in same_form if self.reproduces(c[1][-1].whole))
        return min((first, *soon), key=lambda c: len(c[1][-1].whole.names ^ like.names))

    def scales(self) -> Iterator[Candidate]:
        """Yield exactly 0, −1, 2, ½, m, T, … times the right number."""
        right = self.right
        if all(not np.any(place.theirs) for place in self.places):
            yield right, (Edit("zero", 0.0, right, ZERO, combined("multiply", ZERO, right), ZERO),)
        minus = Expression("negative", (right,), right.shape)
        yield right, (Edit("other_sign", 0.0, right, minus, minus, MINUS),)
        sizes = [Expression.quantity(name, ()) for name in ("m", "T", "n_x", "n_a", "n_y")]
        sizes.insert(2, combined("multiply", *sizes[:2]))
        scales = [Expression("number", value=2.0), Expression("number", value=0.5)]
        scales += [scale for size in sizes for scale in (size, combined("divide", ONE, size))]
        scales += [combined("divide", *pair) for pair in (sizes[:2], sizes[1::-1])]
        for scale in scales:
            whole = combined("multiply", scale, right)
            yield right, (Edit("scale", 0.0, right, whole, whole, scale),)

    def single(self, wild: bool = False) -> Iterator[Candidate]:
        """Yield every single edit of every form: the table's own form first, simple edits first."""
        return itertools.islice(self._single(wild), MOST)

    def _single(self, wild: bool) -> Iterator[Candidate]:
        for depth in self.forms:
            scopes = [(form, Scope.around(form, self.table, wild, self.quantity)) for form in depth]
            found = [(form, e) for form, scope in scopes for e in edits(form, scope)]
            if wild:
                found = [(form, e) for form, e in found if e.cost >= WILD]
            found.sort(key=lambda pair: pair[1].cost)
            yield from ((form, (edit,)) for form, edit in found)

    def wild(self) -> Iterator[Candidate]:
        """Yield the edits that few people make."""
        return self.single(wild=True)

    def pairs(self) -> Iterator[Candidate]:
        """Yield two simple edits of one equation, up to a number of them."""
        return itertools.islice(self._pairs(), MOST)

    def _pairs(self) -> Iterator[Candidate]:
        place = self.places[0]
        found: list[tuple[float, Candidate]] = []
        forms_with_depth = ((d, form) for d, deep in enumerate(self.forms[:2]) for form in deep)
        for depth, form in itertools.islice(forms_with_depth, FORMS_OF_PAIRS):
            with np.errstate(all="ignore"):
                scope = Scope.around(form, self.table, quantity=self.quantity)
                for one, other in pairs(form, scope, place.values, place.t, place.theirs):
                    found.append((one.cost + other.cost + 0.3 * depth, (form, (one, other))))
        yield from (candidate for _, candidate in sorted(found, key=lambda pair: pair[0]))
        yield from self._pairs_in_order()

    def _pairs_in_order(self) -> Iterator[Candidate]:
        """Yield the simplest pairs one by one: of matrix products, which cannot be undone."""
        form = self.right
        scope = Scope.around(form, self.table, quantity=self.quantity)
        for one in edits(form, scope):
            if one.cost <= 1.2:
                for other in edits(one.whole, scope):
                    if other.cost <= 1.2:
                        yield form, (one, other)

    def grafts(self, yours: Expression) -> Iterator[Candidate]:
        """Yield the right equation with a part of theirs in the place of one of its own."""
        theirs = list({node.key: node for node in yours.nodes()}.values())
        found = []
        for form in itertools.chain(*self.forms):
            for node, _, rebuild in places(form):
                for part in theirs:
                    size = sum(1 for _ in node.nodes()) + 0.1 * sum(1 for _ in part.nodes())
                    found.append((form, Edit("yours", size, node, part, rebuild(part))))
        found.sort(key=lambda pair: pair[1].cost)
        yield from ((form, (edit,)) for form, edit in found)


def _over_batch(form: Expression) -> Expression:
    """The losses of all targets of a step in one number, before any share."""
    return Expression("over_batch", (form,), (1, 1))


class _Place:
    """A witness with the values of its truth."""

    def __init__(self, witness: Witness, values: Values, right: Expression, stretched: bool):
        self.theirs, self.values = np.asarray(witness.theirs, float), values
        self.stretched = stretched
        self.t = witness.t
        self.right = values.of(right, self.t)
        self.scale = scale_of(np.asarray(0.0 if self.right is None else self.right), self.theirs)
        self.nearly_zero = 0 < scale_of(self.theirs) <= ROUNDING * self.scale
        right_is_same = self.right is not None and same(self.right, self.theirs, self.scale)
        self.telling = not right_is_same and bool(np.isfinite(self.theirs).any())

    def shows(self, whole: Expression) -> bool:
        """Return whether an expression gives the number that was seen here."""
        value: Array = self.values.of(whole, self.t)
        if value is None:
            return False
        shape = np.shape(value)
        if shape != self.theirs.shape and np.size(value) != self.theirs.size:
            if not self.stretched:
                return False
            try:  # a (1, 1) product or a (n,) sum that is added to an array is stretched
                value = np.broadcast_to(value, self.theirs.shape)
            except ValueError:
                return False
        return same(value, self.theirs, self.scale)

    def is_zero_exactly(self, whole: Expression) -> bool:
        """Return whether an expression is 0 where the number that was seen only rounds to it."""
        return self.nearly_zero and not np.any(self.values.of(whole, self.t))
