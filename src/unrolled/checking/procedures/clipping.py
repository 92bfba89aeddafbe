"""Clipping: what becomes of gradients that are too large, against a clip by value or by norm."""

import ast
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.iterations import Iteration
from unrolled.checking.procedures.roles import Function, gradient_of
from unrolled.checking.procedures.running import Program, Training, callable_of
from unrolled.checking.procedures.tracing import leaves, named, near, quiet
from unrolled.checking.report import Finding, Worst

Array = Any
Arrays = Mapping[str, Array]

LIMIT = 0.7


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


RIGHT: tuple[Callable[[Arrays, float], dict[str, Array]], ...] = (by_value, by_norm, by_each_norm)
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
    "unit": (lambda g, v: np.clip(g, -1, 1), "gradients are clipped to −1 … 1, whatever the limit is"),
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


def examine_clipping(
    program: Program, training: Training | None, done: list[Iteration], examined: Examined
) -> None:
    """Add what is wrong with their clipping function, or that it clips."""
    for function in program.having("clip"):
        try:
            outcome = _outcome(program, function, training)
        except Exception as error:
            examined.untestable.append(f"`{function.name}` could not be run: {error}")
            continue
        if isinstance(outcome, str):
            examined.untestable.append(f"`{function.name}` was not tested: {outcome}")
        elif outcome is None:
            examined.proved.append(f"`{function.name}` clips gradients as it says")
        else:
            examined.findings.append(outcome)


def _outcome(
    program: Program, function: Function, training: Training | None
) -> Finding | str | None:
    """A finding, why it cannot be tested, or None where it is right."""
    roles = {name: program.role(name) for name in function.arguments}
    holder = next((n for n, r in roles.items() if r == "gradients"), None)
    if holder is None:
        return _one_array(program, function, roles)
    given = _gradients(program, function, training)
    if not given:
        return "it does not show which gradients it takes"
    small = {n: g * 0.01 for n, g in given.items()}
    kept = {n: g.copy() for n, g in given.items()}
    yours = _run(program, function, given, roles)
    calm = _run(program, function, {n: g.copy() for n, g in small.items()}, roles)
    if not yours or not calm:
        return "it returns no gradients under the names that it takes"
    return _judged(program, function, kept, yours, (small, calm))


def _judged(
    program: Program, function: Function, given: Arrays, yours: Arrays, calm: tuple[Arrays, Arrays]
) -> Finding | str | None:
    limit = LIMIT
    for right in RIGHT:
        expected, still = right(given, limit), right(calm[0], limit)
        # some add a small number to the norm
        if _all_near(yours, expected, 1e-4) and _all_near(calm[1], still, 1e-4):
            return None
    for id, (scaling, message) in NORMS.items():
        made, still = scaling(given, limit), scaling(calm[0], limit)
        if _all_near(yours, made) and _all_near(calm[1], still):
            return _finding(program, function, yours, by_norm(given, limit), f"norm_{id}", message)
    expected = by_value(given, limit)
    for id, (variant, message) in VARIANTS.items():
        made, still = (_each(variant, g, limit) for g in (given, calm[0]))
        if _all_near(yours, made) and _all_near(calm[1], still):
            return _finding(program, function, yours, expected, id, message)
    off = [n for n in yours if not near(yours[n], expected[n])]
    if off and len(off) < len(yours):
        names = ", ".join(sorted(off))
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
    line = norm_line(function, id) if id.startswith("norm_") else clip_line(function)
    return finding(
        program, "clipped_gradients", name, line, exact(id, message),
        worst=Worst.between(yours[name], expected[name]),
    )  # fmt: skip


def norm_line(function: Function, id: str) -> int:
    """Return the line of the condition where it is wrong, or the one that multiplies or divides."""
    nodes = list(ast.walk(function.node))
    tests = [n.lineno for n in nodes if isinstance(n, ast.If | ast.IfExp)]
    if id == "norm_inverted" and tests:
        return tests[0]
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
        words = ("clip", "minimum", "maximum", "min", "max", "where")
        if isinstance(node, ast.Call) and named(node.func) in words:
            found.append(node.lineno)
    if len(found) > 1:
        return found[1]
    return norm_line(function, "") if _scales(function) else found[0]


def _scales(function: Function) -> bool:
    """Whether a function scales in an assignment."""
    nodes = (n for n in ast.walk(function.node) if isinstance(n, ast.Assign | ast.AugAssign))
    inner = (getattr(i, "op", None) for n in nodes for i in ast.walk(n))
    return any(isinstance(op, ast.Mult | ast.Div) for op in inner)


def _gradients(program: Program, function: Function, training: Training | None) -> dict[str, Array]:
    """Large gradients under the keys that the function was given, or that it names."""
    rng = np.random.default_rng(3)
    shapes: dict[str, tuple[int, ...]] = {}
    for call in training.trace.calls if training else ():
        if call.name == function.name:
            for path, value in call.before.items():
                if program.role(path[0]) == "gradients" and len(path) == 2 and gradient_of(path[1]):
                    shapes[path[1]] = value.shape
    if not shapes:
        texts = [n.value for n in ast.walk(function.node) if isinstance(n, ast.Constant)]
        shapes = {t: (3, 4) for t in texts if isinstance(t, str) and gradient_of(t)}
    shapes = shapes or dict.fromkeys(("dWaa", "dWax", "dWya", "db", "dby"), (3, 4))
    return {n: rng.normal(size=s) * 3 * LIMIT for n, s in shapes.items()}


def _run(
    program: Program, function: Function, gradients: dict[str, Array], roles: Mapping[str, str]
) -> dict[str, Array]:
    """What the function makes of gradients: returned, or changed in place."""
    program.fresh()
    namespace = program.fresh()
    known = {"gradients": gradients, "limit": LIMIT}
    given = program.arguments(function, known)
    with quiet():
        result = callable_of(namespace, function)(**given)
    found = leaves(gradients if result is None else result)
    return {p[-1]: v for p, v in found.items() if p[-1] in gradients}


def _one_array(
    program: Program, function: Function, roles: Mapping[str, str]
) -> Finding | str | None:
    """A function of one gradient."""
    rest = [n for n, r in roles.items() if r not in ("limit", "learning_rate", "seed")]
    if len(rest) != 1:
        return "it does not say which argument holds the gradients"
    rng = np.random.default_rng(3)
    given = {"gradient": rng.normal(size=(3, 4)) * 3 * LIMIT}
    calm = {"gradient": given["gradient"] * 0.01}
    outcomes = []
    for one in (given, calm):
        value = one["gradient"].copy()
        arguments = {n: LIMIT for n, r in roles.items() if r == "limit"} | {rest[0]: value}
        with quiet():
            result = callable_of(program.fresh(), function)(**arguments)
        outcomes.append({"gradient": value if result is None else np.asarray(result)})
    return _judged(program, function, given, outcomes[0], (calm, outcomes[1]))
