"""Clipping: what becomes of gradients that are too large, against a clip by value or by norm."""

import ast
import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.iterations import Iteration, gradient_name
from unrolled.checking.procedures.roles import Function, gradient_of
from unrolled.checking.procedures.running import Program, Training, bound
from unrolled.checking.procedures.tracing import leaves, named, near, quiet, same
from unrolled.checking.report import Finding, Worst

Array = Any
Arrays = Mapping[str, Array]

LIMIT = 0.7
_MEASURES = ("norm", "sqrt", "sum", "max", "square", "mean")
_BOUNDS = ("minimum", "maximum", "min", "max")


def by_value(gradients: Arrays, limit: float) -> dict[str, Array]:
    """Return every entry brought between −limit and limit."""
    return {n: np.clip(g, -limit, limit) for n, g in gradients.items()}


def by_norm(gradients: Arrays, limit: float) -> dict[str, Array]:
    """Return all gradients scaled together so that their norm is at most the limit."""
    norm = np.sqrt(sum(float(np.sum(g * g)) for g in gradients.values()))
    return {n: g * min(1.0, limit / norm) for n, g in gradients.items()}


def by_each_norm(gradients: Arrays, limit: float) -> dict[str, Array]:
    """Return each gradient scaled so that its own norm is at most the limit."""
    return {n: by_norm({n: g}, limit)[n] for n, g in gradients.items()}


def by_largest(gradients: Arrays, limit: float) -> dict[str, Array]:
    """Return all gradients scaled together so that their largest entry is at most the limit."""
    most = max(float(np.max(np.abs(g))) for g in gradients.values())
    return {n: g * min(1.0, limit / most) for n, g in gradients.items()}


def by_each_largest(gradients: Arrays, limit: float) -> dict[str, Array]:
    """Return each gradient scaled so that its own largest entry is at most the limit."""
    return {n: by_largest({n: g}, limit)[n] for n, g in gradients.items()}


RIGHT: tuple[Callable[[Arrays, float], dict[str, Array]], ...] = (
    by_value, by_norm, by_each_norm, by_largest, by_each_largest,
)  # fmt: skip
VARIANTS: dict[str, tuple[Callable[[Array, float], Array], str]] = {
    "no_effect": (lambda g, v: g, "the clipped gradients equal the unclipped ones"),
    "only_above": (lambda g, v: np.minimum(g, v), "gradients are clipped from above only"),
    "only_below": (lambda g, v: np.maximum(g, -v), "gradients are clipped from below only"),
    "from_zero": (lambda g, v: np.clip(g, 0, v), "gradients are clipped to 0 … limit: every negative entry is lost"),
    "to_zero": (lambda g, v: np.clip(g, -v, 0), "gradients are clipped to −limit … 0: every positive entry is lost"),
    "lifted": (lambda g, v: np.maximum(np.abs(g), v) * np.sign(g), "small entries are lifted to the limit, large ones stay"),
    "always_above": (lambda g, v: np.maximum(g, v), "every entry is at least the limit: maximum stands for minimum"),
    "always_below": (lambda g, v: np.minimum(g, -v), "every entry is at most −limit: minimum stands for maximum"),
    "sign": (lambda g, v: -np.clip(g, -v, v), "the clipped gradients have the other sign"),
    "size": (lambda g, v: np.clip(np.abs(g), 0, v), "the clipped gradients have lost their sign"),
    "signs_only": (lambda g, v: v * np.sign(g), "every entry becomes the limit with its sign, small ones too"),
    "dropped": (lambda g, v: np.where(np.abs(g) > v, 0, g), "entries beyond the limit become 0, not the limit"),
    "bounds_exchanged": (lambda g, v: np.full_like(g, -v), "the bounds are exchanged: every entry becomes −limit"),
    "bounds_exchanged_above": (lambda g, v: np.full_like(g, v), "the bounds are exchanged: every entry becomes the limit"),
    "unit": (lambda g, v: np.clip(g, -1, 1), "gradients are clipped to −1 … 1, whatever the limit is"),
    "always_to_limit": (lambda g, v: g * v / np.max(np.abs(g)), "gradients are scaled so that their largest entry is the limit, even where it is smaller"),
    "clipped_and_scaled": (lambda g, v: np.clip(g, -v, v) * v, "what is clipped is multiplied by the limit as well"),
    "clipped_and_divided": (lambda g, v: np.clip(g, -v, v) / v, "what is clipped is divided by the limit as well"),
    "always_scaled": (lambda g, v: g * v / np.linalg.norm(g), "gradients are scaled to the limit even where their norm is smaller"),
    "scaled_by_limit": (lambda g, v: g * v, "gradients are multiplied by the limit"),
}  # fmt: skip


def _norm(gradients: Arrays) -> float:
    return float(np.sqrt(sum(float(np.sum(g * g)) for g in gradients.values())))


def _scaled(gradients: Arrays, by: float) -> dict[str, Array]:
    return {n: g * by for n, g in gradients.items()}


# Ways to go wrong with the norm of all gradients together.
NORMS: dict[str, tuple[Callable[[Arrays, float], dict[str, Array]], str]] = {
    "inverted": (lambda g, v: _scaled(g, v / _norm(g) if _norm(g) < v else 1),
                 "gradients are scaled where their norm is below the limit, and stay where it is above"),
    "always": (lambda g, v: _scaled(g, v / _norm(g)),
               "gradients are scaled to the limit even where their norm is below it"),
    "squared": (lambda g, v: _scaled(g, v / _norm(g) ** 2 if _norm(g) > v else 1),
                "gradients are divided by the square of their norm"),
    "no_root": (lambda g, v: _scaled(g, v / _norm(g) ** 2 if _norm(g) ** 2 > v else 1),
                "the square root is missing: the norm's square stands for the norm"),
    "without_limit": (lambda g, v: _scaled(g, 1 / _norm(g) if _norm(g) > v else 1),
                      "gradients are divided by their norm and not multiplied by the limit"),
    "upside_down": (lambda g, v: _scaled(g, _norm(g) / v if _norm(g) > v else 1),
                    "gradients are multiplied by norm / limit, not by limit / norm"),
}  # fmt: skip


def _by(size: Callable[[list[float]], float]) -> Callable[[Arrays, float], dict[str, Array]]:
    """A clip by another size of all gradients together than their norm, made of their norms."""

    def scaling(gradients: Arrays, limit: float) -> dict[str, Array]:
        whole = size([float(np.linalg.norm(g)) for g in gradients.values()])
        return _scaled(gradients, min(1.0, limit / whole))

    return scaling


def _alone(
    scaling: Callable[[Arrays, float], dict[str, Array]],
) -> Callable[[Arrays, float], dict[str, Array]]:
    return lambda g, v: {n: scaling({n: one}, v)[n] for n, one in g.items()}


EACH = {f"each_{id}": (_alone(scaling), message) for id, (scaling, message) in NORMS.items()}
# Sizes that stand for the norm of all gradients together.
SIZES = {
    "largest": (_by(max), "the largest of their norms is taken, not the norm of all gradients together"),
    "least": (_by(min), "the least of their norms is taken, not the norm of all gradients together"),
    "added": (_by(sum), "their norms are added: the norm of all together is the root of the sum of their squares"),
    "averaged": (_by(lambda n: sum(n) / len(n)), "the mean of their norms is taken, not the norm of all gradients together"),
    "root_of_sum": (_by(lambda n: float(np.sqrt(sum(n)))), "the root of the sum of their norms is taken: the norms are not squared"),
    "mean_square": (_by(lambda n: float(np.sqrt(sum(v * v for v in n) / len(n)))),
                    "the mean of the squared norms is taken, not their sum"),
    "of_last": (_by(lambda n: n[-1]), "the norm of the last gradient alone is taken: it is not summed over all of them"),
    "of_first": (_by(lambda n: n[0]), "the norm of the first gradient alone is taken: it is not summed over all of them"),
}  # fmt: skip


def examine_clipping(
    program: Program, training: Training | None, done: list[Iteration], examined: Examined
) -> None:
    """Add what is wrong with their clipping function, or that it clips."""
    for function in program.having("clip"):
        try:
            outcome = _outcome(Clip(program, function, training, done))
        except Exception as error:
            examined.untestable.append(f"`{function.name}` could not be run: {error}")
            continue
        if isinstance(outcome, str):
            examined.untestable.append(f"`{function.name}` was not tested: {outcome}")
        elif outcome is None:
            examined.proved.append(f"`{function.name}` clips gradients as it says")
        else:
            examined.findings.append(outcome)


def _outcome(clip: "Clip") -> Finding | str | None:
    """A finding, why it cannot be tested, or None where it is right at one of the limits it may have."""
    if not clip.paths:
        return "it does not show which gradients it takes"
    outcomes = [clip.judged(limit) for limit in clip.limits()]
    if None in outcomes:
        return None
    found = [o for o in outcomes if isinstance(o, Finding)]
    return found[0] if found else next(iter(outcomes), "it does not show at what limit it clips")


class Clip:
    """One clipping function of theirs: the arguments that hold gradients, and how it is called.

    `like` are those arguments as the training passed them, or as their names let one make them;
    `paths` lead to the gradients in them.
    """

    def __init__(
        self, program: Program, function: Function, training: Training | None, done: list[Iteration]
    ):
        self.program, self.function = program, function
        calls = training.trace.calls if training else []
        self.call = next((c for c in calls if c.name == function.name and c.given), None)
        self.recorded = self.call.given if self.call else {}
        gradients = list(done[0].gradients.values()) if done else []
        self.like = self._held(gradients) or self._made()
        shapes = {g.shape for g in gradients}
        held = {p: v for p, v in leaves(self.like).items() if v.ndim}
        self.paths = [p for p in held if gradient_name(program, p)]
        self.paths = self.paths or [p for p, v in held.items() if not shapes or v.shape in shapes]

    def _held(self, gradients: list[Array]) -> dict[str, Any]:
        """The recorded arguments in which the training's gradients stand."""
        return {
            n: value for n, value in self.recorded.items()
            if any(same(v, g) for v in leaves(value).values() for g in gradients if g.ndim)
            or self.program.role(n) == "gradients"
        }  # fmt: skip

    def _made(self) -> dict[str, Any]:
        """Arguments for a function that no training calls: a dictionary by the keys that it names."""
        named_so = [n for n in self.function.arguments if gradient_of(n)]
        if named_so:
            return {n: np.ones((3, 4)) for n in named_so}
        for name in self.function.arguments:
            if self.program.role(name) == "gradients":
                nodes = ast.walk(self.function.node)
                texts = [n.value for n in nodes if isinstance(n, ast.Constant)]
                keys = [t for t in texts if isinstance(t, str) and gradient_of(t)]
                keys = keys or ["dWaa", "dWax", "dWya", "db", "dby"]
                return {name: {k: np.ones((3, 4)) for k in keys}}
        roles = {n: self.program.role(n) for n in self.function.arguments}
        rest = [n for n, r in roles.items() if r not in ("limit", "learning_rate", "seed")]
        return {rest[0]: np.ones((3, 4))} if len(rest) == 1 else {}

    def limits(self) -> list[float]:
        """What it may clip at: an argument that is ours to choose, or numbers that it sees."""
        if any(self.program.role(n) == "limit" for n in self.function.arguments):
            return [LIMIT]
        names = {named(n) for n in ast.walk(self.function.node)}
        seen = self.call.before if self.call else leaves(self.program.fresh(), depth=1)
        found = {p: float(v) for p, v in seen.items() if p[-1] in names and not v.ndim}
        first = [v for p, v in found.items() if self.program.role(p[-1]) == "limit"]
        consts = (getattr(n, "value", None) for n in ast.walk(self.function.node))
        numbers = [float(v) for v in consts if isinstance(v, int | float) and v is not True]
        return list(dict.fromkeys(v for v in [*first, *found.values(), *numbers] if v > 1e-4))

    def run(self, gradients: Mapping[str, Array], limit: float) -> dict[str, Array] | None:
        """What it makes of gradients, by their paths: returned, or changed in place; None where neither."""
        namespace = self.program.fresh()
        held = copy.deepcopy(self.like)
        for path, array in _arrays(held):
            array[...] = gradients.get("/".join(path), 0.0)
        rest = {n: v for n, v in self.recorded.items() if self.program.role(n) != "limit"}
        with quiet():
            fixed = {**copy.deepcopy(rest), **held}
            given = self.program.arguments(self.function, {"limit": limit}, fixed)
            result = bound(self.program, namespace, self.function)(**given)
        self._held_last = held
        return self._read(result) or self._read(held)

    def in_place(self) -> bool:
        """Whether it changes the gradients that it is given, or where that cannot be seen."""
        shapes = {p: v.shape for p, v in leaves(self.like).items()}
        for limit in self.limits():
            large = {"/".join(p): np.full(shapes[p], 3 * limit) for p in self.paths}
            self.run(large, limit)
            left = self._read(self._held_last)
            if left is None or not all(np.array_equal(left[n], v) for n, v in large.items()):
                return True
        return not self.paths or not self.limits()

    def _read(self, result: Any) -> dict[str, Array] | None:
        found = {p: v for p, v in leaves(result).items() if v.ndim}
        like = {p: v.shape for p, v in leaves(self.like).items()}
        by_end = {p[-1]: v for p, v in found.items() if p}
        names = [p[-1] for p in self.paths]
        if len(set(names)) == len(names) and all(n in by_end for n in names):
            read = [by_end[n] for n in names]
        else:
            read = list(found.values())[: len(names)]
        if [v.shape for v in read] != [like[p] for p in self.paths]:
            return None
        return {"/".join(p): v for p, v in zip(self.paths, read, strict=True)}

    def judged(self, limit: float) -> Finding | str | None:
        """A finding, why it cannot be tested, or None where it clips at this limit."""
        rng = np.random.default_rng(3)
        shapes = {p: v.shape for p, v in leaves(self.like).items()}
        large = {"/".join(p): rng.normal(size=shapes[p]) * 3 * limit for p in self.paths}
        calm = _scaled(large, limit / 10 / _norm(large))
        yours, still = self.run(large, limit), self.run(calm, limit)
        if not yours or not still:
            return "it returns no gradients like those that it takes"
        return _judged(self.program, self.function, large, yours, (calm, still), limit)


def _arrays(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Array]]:
    """All arrays of floats inside dictionaries, lists and tuples, with the keys that lead to them."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        yield path, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list | tuple) else ()  # fmt: skip
    for key, inner in items:
        yield from _arrays(inner, (*path, str(key)))


def _judged(
    program: Program, function: Function, given: Arrays, yours: Arrays,
    calm: tuple[Arrays, Arrays], limit: float,
) -> Finding | str | None:  # fmt: skip
    for right in RIGHT:
        expected, still = right(given, limit), right(calm[0], limit)
        # some add a small number to the norm
        if _all_near(yours, expected, 1e-4) and _all_near(calm[1], still, 1e-4):
            return None
    for id, (scaling, message) in (NORMS | SIZES | EACH).items():
        made, still = scaling(given, limit), scaling(calm[0], limit)
        if _all_near(yours, made, 1e-4) and _all_near(calm[1], still, 1e-4):
            return _finding(program, function, yours, by_norm(given, limit), f"norm_{id}", message)
    expected = by_value(given, limit)
    for id, (variant, message) in VARIANTS.items():
        made, still = (_each(variant, g, limit) for g in (given, calm[0]))
        if _all_near(yours, made) and _all_near(calm[1], still):
            return _finding(program, function, yours, expected, id, message)
    off = [n for n in yours if not near(yours[n], expected[n])]
    if off and len(off) < len(yours):
        names = ", ".join(sorted(n.rpartition("/")[2] for n in off))
        for id, (variant, message) in VARIANTS.items():
            if all(near(yours[n], variant(given[n], limit)) for n in off):
                message = f"{message}, for {names} only"
                return _finding(program, function, yours, expected, f"some_{id}", message)
    return "what it returns is neither a clip by value nor by norm"


def _each(
    variant: Callable[[Array, float], Array], given: Arrays, limit: float
) -> dict[str, Array]:
    return {n: variant(g, limit) for n, g in given.items()}


def _all_near(first: Arrays, second: Arrays, digits: float = 1e-9) -> bool:
    return all(near(first[n], second[n], digits) for n in first)


def _finding(
    program: Program, function: Function, yours: Arrays, expected: Arrays, id: str, message: str
) -> Finding:
    off = [n for n in yours if not near(yours[n], expected[n])]
    name = off[0] if off else next(iter(yours))
    called = name.rpartition("/")[2]
    line = norm_line(function, id) if id.startswith("norm_") else clip_line(function)
    return finding(
        program, "clipped_gradients", called, line, exact(id, message),
        worst=Worst.between(yours[name], expected[name]),
    )  # fmt: skip


def norm_line(function: Function, id: str) -> int:
    """Return the line of the condition where it is wrong, or the one that multiplies or divides."""
    nodes = list(ast.walk(function.node))
    tests = [n.lineno for n in nodes if isinstance(n, ast.If | ast.IfExp)]
    tests += [n.lineno for n in nodes if isinstance(n, ast.Call) and named(n.func) in _BOUNDS]
    if id.endswith("inverted") and tests:
        return tests[0]
    if id.removeprefix("norm_") in SIZES:
        sizes = [n.lineno for n in nodes if isinstance(n, ast.Call) and named(n.func) in _MEASURES]
        return min(sizes, default=function.node.lineno)
    moves = [
        n.lineno
        for n in nodes
        if isinstance(n, ast.Assign | ast.AugAssign | ast.Return)
        and any(isinstance(getattr(i, "op", None), ast.Mult | ast.Div) for i in ast.walk(n))
    ]
    return max(moves, default=function.node.body[-1].lineno)


def clip_line(function: Function) -> int:
    """Return the line of a function that clips: its last call of clip, minimum or maximum."""
    found = [function.node.body[-1].lineno]
    for node in ast.walk(function.node):
        if isinstance(node, ast.Call) and named(node.func) in ("clip", "where", *_BOUNDS):
            found.append(node.lineno)
    if len(found) > 1:
        return found[1]
    return norm_line(function, "") if _scales(function) else found[0]


def _scales(function: Function) -> bool:
    """Whether a function scales in an assignment."""
    nodes = (n for n in ast.walk(function.node) if isinstance(n, ast.Assign | ast.AugAssign))
    inner = (getattr(i, "op", None) for n in nodes for i in ast.walk(n))
    return any(isinstance(op, ast.Mult | ast.Div) for op in inner)
