"""What a schedule is made of: products, elementwise operations, sums over time, and where all of it lies."""

from collections import Counter
from dataclasses import dataclass, field

from unrolled.equations.expressions import Expression
from unrolled.notation import Shape


@dataclass(frozen=True)
class Product:
    """`names[k]` = weights[k] @ operands[0]; or, transposed, names[0] = Σ_k weights[k]ᵀ @ operands[k]."""

    names: tuple[str, ...]
    weights: tuple[str, ...]
    operands: tuple[str, ...]
    transposed: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        return self.operands


@dataclass(frozen=True)
class Elementwise:
    """`names[k]` = expressions[k]: the same operations on quantities that lie next to each other."""

    names: tuple[str, ...]
    expressions: tuple[Expression, ...]

    @property
    def reads(self) -> tuple[str, ...]:
        return tuple(leaf.name for e in self.expressions for leaf in e.leaves())


@dataclass(frozen=True)
class Total:
    """Σ over time of `name` = Σ_k sign · left @ rightᵀ, or sign · left summed over columns (right is "")."""

    name: str
    terms: tuple[tuple[int, str, str], ...]

    @property
    def names(self) -> set[str]:
        return {name for _, *pair in self.terms for name in pair if name}

    def renamed(self, name: str, other: str) -> "Total":
        """Return the same of another quantity."""
        of = {name: other}
        terms = (
            (sign, of.get(left, left), of.get(right, right)) for sign, left, right in self.terms
        )
        return Total(self.name, tuple(terms))


Operation = Product | Elementwise


@dataclass
class Schedule:
    """One direction of a stage.

    `before` and `after` run over all time, `loop` at each step, `totals` at the end. `shares` are
    parameters' gradients, or a loss, that only the loop can add up. `stacks` says which quantities
    lie in one buffer, in which order; `homes` which quantity's place another one takes over. `carried`
    says which name the next step hands what it gets under, `handed_back` which of these, when going
    back, have one place with what they become, at all steps, except for those in `apart`. `constants`
    come from parameters only.
    """

    before: list[Operation] = field(default_factory=list)
    loop: list[Operation] = field(default_factory=list)
    after: list[Operation] = field(default_factory=list)
    totals: list[Total] = field(default_factory=list)
    shares: list[tuple[str, Expression]] = field(default_factory=list)
    stacks: list[tuple[str, ...]] = field(default_factory=list)
    homes: dict[str, str] = field(default_factory=dict)
    handed_back: frozenset[str] = frozenset()
    apart: set[str] = field(default_factory=set)
    shapes: dict[str, Shape] = field(default_factory=dict)
    carried: dict[str, str] = field(default_factory=dict)
    constants: dict[str, Expression] = field(default_factory=dict)

    @property
    def rows(self) -> Counter[str]:
        """How many rows are kept of every column of every step, by the axis they are counted in:
        Σ rows · m · T numbers is what the schedule needs beside its parameters.
        """
        return Counter(str(self.shapes[name][0]) for stack in self.stacks for name in stack)

    def home(self, name: str) -> str:
        """The quantity in whose place `name` lies."""
        while name in self.homes:
            name = self.homes[name]
        return name

    def place(self, name: str) -> str:
        """Where `name` is written: at home, or, for what goes to the step before, where what came from the
        step after was, unless others still read that.
        """
        home = self.home(name)
        if home not in self.handed_back or home in self.apart:
            return home
        return next((key for key, other in self.carried.items() if other == home), home)
