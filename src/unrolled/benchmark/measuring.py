"""One case after the other: first everyone has to compute the same, then they are timed in turns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType

from unrolled.benchmark.cases import Case, Problem
from unrolled.benchmark.contenders import Contender, Difference, largest_difference, ours
from unrolled.benchmark.timing import Timing, alternate, numpy_product, product_rate
from unrolled.engines import chosen_engine


@dataclass(frozen=True)
class Entry:
    """One contender in one case; who computes something else has no timing."""

    name: str
    difference: Difference
    timing: Timing | None


@dataclass(frozen=True)
class Row:
    """One case: the operations of its matrix products, and everyone who was timed on it."""

    case: Case
    flops: int
    entries: tuple[Entry, ...]

    def entry(self, name: str) -> Entry | None:
        return next((entry for entry in self.entries if entry.name == name), None)

    def rate(self, name: str) -> float | None:
        """Return GFLOP/s of one contender, matrix products alone counted."""
        entry = self.entry(name)
        return self.flops / entry.timing.milliseconds / 1e6 if entry and entry.timing else None

    def ratio(self, name: str) -> float | None:
        """Return one contender's time divided by that of the first, which is ours."""
        entry, first = self.entry(name), self.entries[0]
        if not (entry and entry.timing and first.timing):
            return None
        return entry.timing.milliseconds / first.timing.milliseconds

    def ahead(self) -> float | None:
        """Return the time of the fastest of other libraries divided by that of the first."""
        others = [e.name for e in self.entries if not e.name.startswith("unrolled")]
        return min((r for name in others if (r := self.ratio(name))), default=None)


def measure(
    case: Case, engines: Sequence[str], peers: Sequence[ModuleType], seconds: float, pause: float
) -> Row:
    """Return the row of a case, our engines first."""
    problem = Problem(case)
    contenders = [ours(problem, engine) for engine in engines]
    contenders += [c for peer in peers if (c := peer.contender(problem)) is not None]
    return compare(problem, contenders, seconds, pause)


def compare(
    problem: Problem, contenders: Sequence[Contender], seconds: float, pause: float
) -> Row:  # fmt: skip
    """Compare everyone's loss and gradients with the reference's, and time those who agree."""
    right = problem.answer()
    differences = [largest_difference(c.read(c.run()), right) for c in contenders]
    agree = [difference.agrees(problem.case.dtype) for difference in differences]
    timed = [c.run for c, agrees in zip(contenders, agree, strict=True) if agrees]
    timings = iter(alternate(timed, seconds, pause) if timed else [])
    entries = (
        Entry(c.name, difference, next(timings) if agrees else None)
        for c, difference, agrees in zip(contenders, differences, agree, strict=True)
    )
    return Row(problem.case, problem.flops, tuple(entries))


def measure_peaks(
    dtypes: Sequence[str], peers: Sequence[ModuleType], pause: float
) -> Mapping[str, dict[str, float]]:
    """Return, for each dtype, the rate of each library's matrix product in GFLOP/s, the highest first;
    ours is that of the compiled engine, where it is installed.
    """
    products = {"NumPy": numpy_product}
    if chosen_engine("auto") == "compiled":
        from unrolled.engines.compiled.square import square_product

        products["unrolled"] = square_product
    products |= {peer.title: peer.product for peer in peers if hasattr(peer, "product")}
    rates = {
        dtype: {title: product_rate(product, dtype, pause) for title, product in products.items()}
        for dtype in dtypes
    }
    return {dtype: dict(sorted(found.items(), key=lambda item: -item[1])) for dtype, found in rates.items()}  # fmt: skip
