"""What a moment of the calculation does, in a sentence or two: from its operations, for any cell."""

from collections.abc import Iterator

from unrolled import notation
from unrolled.equations.evaluation import Moment
from unrolled.equations.expressions import SIGNS, Expression
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.studies import Saturation, lost
from unrolled.explaining.writing import number

_BY_ENTRY = ", entry by entry"
_CALLED = {
    "sigmoid": "σ of", "square": "the square of", "negative": "minus", "transpose": "the transpose of",
    "over_batch": "the sum over the batch of", "over_features": "the sum down each column of",
    "log_sum_exp": "the logarithm of the sum of e to the power of",
}  # fmt: skip


def sentence(explanation: Explanation, moment: Moment) -> str:
    """Return what is computed at a moment, and how."""
    name, expression = moment.equation.name, moment.equation.expression
    meaning = explanation.table.meaning(name)
    subject = f"{symbol(name, moment.t)}, {meaning}" if meaning else symbol(name, moment.t)
    told = "; ".join(_Telling(explanation, moment).told(expression))
    return f"{subject}: {told}."


def symbol(name: str, t: int | None) -> str:
    """Return `dz_a⟨3⟩`, or `dW_aa` for what is no step's."""
    text = notation.entry(name).text
    return text if t is None else f"{text}⟨{t}⟩"


class _Telling:
    """Tells the expression of one moment."""

    def __init__(self, explanation: Explanation, moment: Moment):
        self.explanation, self.moment, self.sizes = explanation, moment, explanation.sizes
        self.table = explanation.table

    def told(self, expression: Expression) -> Iterator[str]:
        """Yield what is to be said of an expression."""
        operation = expression.operation
        if operation == "over_time":
            yield self._over_time(expression)
        elif operation == "next":
            yield self._next(expression)
        elif operation == "first":
            yield "what step 0 hands back is the gradient of what it began with"
        elif operation in SIGNS:
            yield from self._sum(expression)
        elif operation == "product":
            yield self._product(expression)
        elif operation in ("over_batch", "over_features"):
            yield self._reduced(expression)
        else:
            yield self._other(expression)

    def _over_time(self, expression: Expression) -> str:
        name, T = expression.operands[0].name, self.explanation.T
        if name == "loss":
            return f"the losses of all {T} steps added up" if T > 1 else "that of the only step"
        of = symbol(name.removeprefix("d"), None)
        if T == 1:
            return f"{of} is used at one step only, so this is that step's share"
        return f"the same {of} is used at all {T} steps, so its gradient is the sum of their {T} shares"

    def _next(self, expression: Expression) -> str:
        t = self.moment.t
        assert t is not None
        if t + 1 == self.explanation.T:
            return "no step comes after the last one, so nothing comes back from there"
        handed = symbol(expression.operands[0].name, t + 1)
        return f"what step {t + 1} handed back when the walk came through it: {handed} is this"

    def _sum(self, expression: Expression) -> Iterator[str]:
        terms = expression.terms()
        ways = all(term.operation == "quantity" and sign > 0 for sign, term in terms)
        if ways and self._backward:
            names = " and ".join(self.names(term) for _, term in terms)
            yield f"{names} added up, for the loss is reached on {len(terms)} ways"
        else:
            yield self._added(terms)
        for _, term in terms:
            if term.operation == "quantity" and term.shape[1:] == (1,) and self.sizes["m"] > 1:
                yield f"{self.names(term)} is added to every column"

    def _added(self, terms: list[tuple[int, Expression]]) -> str:
        said = []
        for k, (sign, term) in enumerate(terms):
            words = self.phrase(term).replace(_BY_ENTRY, " (entry by entry)")
            said.append(f"{'minus ' if sign < 0 else 'plus ' if k else ''}{words}")
        return " ".join(said)

    @property
    def _backward(self) -> bool:
        return self.moment.equation.direction == "backward"

    def names(self, expression: Expression) -> str:
        """Return the symbols of all quantities in an expression, with their steps."""
        leaves = dict.fromkeys(leaf.name for leaf in expression.leaves())
        return " and ".join(symbol(*self.table.placed(name, self.moment.t)) for name in leaves)

    def phrase(self, expression: Expression) -> str:
        """Return an operand in words."""
        operation = expression.operation
        if operation == "quantity":
            return self.names(expression)
        if operation == "number":
            return f"{expression.value:g}"
        if operation in SIGNS:
            return f"({self._added(expression.terms())})"
        if operation == "product":
            left, right = expression.operands
            turned = "the transpose of " if left.operation == "transpose" else ""
            return f"{turned}{self.names(left)} times {self.names(right)}"
        if operation == "multiply":
            return f"{' times '.join(map(self._factor, expression.operands))}{_BY_ENTRY}"
        if operation == "divide":
            return f"{' divided by '.join(map(self._factor, expression.operands))}{_BY_ENTRY}"
        if operation in _CALLED:
            return f"{_CALLED[operation]} {self._factor(expression.operands[0])}"
        inner = " and ".join(map(self._factor, expression.operands))
        return f"{operation.replace('_', ' ')} of {inner}"

    def _factor(self, expression: Expression) -> str:
        return self.phrase(expression).removesuffix(_BY_ENTRY)

    def _product(self, expression: Expression) -> str:
        left, right = expression.operands
        if right.operation == "transpose":
            m = self.sizes["m"]
            columns = f"summed over the {m} columns" if m > 1 else "of the only column"
            return (
                f"the weight in row i and column j took row j of {self.names(right)} to row i, whose gradient is in "
                f"{self.names(left)}: their products, {columns}"
            )
        inner = self.sizes.get(str(left.shape[1]), left.shape[1])
        if left.operation == "transpose":
            return f"back through {self.names(left)}, so its transpose times {self.names(right)}: each entry is a sum of {inner} products"
        return f"{self.names(left)} times {self.names(right)}, each entry a sum of {inner} products"

    def _reduced(self, expression: Expression) -> str:
        (of,) = expression.operands
        if expression.operation == "over_batch":
            m = self.sizes["m"]
            if of.operation == "quantity" and self._backward:
                return (
                    f"all {m} columns share it, so {self.names(of)} is summed over them"
                    if m > 1
                    else f"that of {self.names(of)}, for there is one column"
                )
            return f"{self.phrase(of)}, summed over the {m} columns" if m > 1 else self.phrase(of)
        return f"{self.phrase(of)}, summed down each column"

    def _other(self, expression: Expression) -> str:
        operation = expression.operation
        if operation == "quantity":
            return f"{self.names(expression)} as it is"
        if operation == "negative":
            return f"minus {self.told_of(expression.operands[0])}"
        if operation == "where":
            condition, value, other = expression.operands
            return f"{self.phrase(value)} where {self.names(condition)} is above 0, else {self.phrase(other)}"
        if operation == "softmax":
            return f"e to the power of each of {self.names(expression)}, divided by the sum of its column, so that every column adds up to 1"
        if operation == "multiply":
            return self.phrase(expression)
        return f"{self.phrase(expression)}{_BY_ENTRY}"

    def told_of(self, expression: Expression) -> str:
        """Return the telling as one text."""
        return " ".join(self.told(expression))


def saturations(explanation: Explanation, most: int = 5) -> list[str]:
    """Return a sentence for each gradient that flat activations make exactly 0; of more than `most`, of the
    first ones, and how many more there are.
    """
    found = lost(explanation)
    said = [_saturated(one) for one in found[:most]]
    if len(found) > most:
        said.append(f"So it is with {len(found) - most} more.")
    return said


def _saturated(found: Saturation) -> str:
    (name, t), z = found.key, found.key[0].removeprefix("d")
    low, high = number(found.lowest), number(found.highest)
    sized = f"is {low}" if low == high else f"is from {low} to {high}"
    return (
        f"{symbol(name, t)} is exactly 0 in {found.entries} of {found.size} entries though "
        f"{symbol(found.of, t)} is not, for the activation is flat there: |{symbol(z, t)}| {sized}."
    )
