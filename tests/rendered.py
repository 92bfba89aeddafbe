"""Programs for the checker to look at: a NumPy program written from the table, with a mistake in it.

`render(step)` is right. `render(step, {"dz_a": edited})` has the edited expression in the place of
that equation; a total may be edited too: `{"dW_aa": Expression("first", (share,), shape)}` is `=` for
`+=`. Leaves may name other steps as `unrolled.checking.replay.edits` does.
"""

import ast
import functools
import textwrap
from collections.abc import Mapping

from unrolled.equations.expressions import Expression
from unrolled.equations.step import Step
from unrolled.equations.table import Table, record

_CODE = {
    "add": "({} + {})", "subtract": "({} - {})", "multiply": "({} * {})", "divide": "({} / {})",
    "product": "({} @ {})", "negative": "(-{})", "transpose": "({}).T", "square": "(({}) ** 2)",
    "tanh": "np.tanh({})", "sigmoid": "sigmoid({})", "softmax": "softmax({})",
    "relu": "np.maximum({}, 0)", "leaky_relu": "np.where({0} > 0, {0}, 0.01 * {0})",
    "positive": "({} > 0)", "where": "np.where({}, {}, {})", "exp": "np.exp({})", "log": "np.log({})",
    "log_sum_exp": "log_sum_exp({})", "softplus": "np.logaddexp(0, {})",
    "over_batch": "np.sum({}, axis=1, keepdims=True)",
    "over_features": "np.sum({}, axis=0, keepdims=True)", "over_all": "np.sum({})",
    "mean_batch": "np.mean({}, axis=1, keepdims=True)",
    "mean_features": "np.mean({}, axis=0, keepdims=True)", "mean_all": "np.mean({})",
    "max_batch": "np.max({}, axis=1, keepdims=True)",
    "max_features": "np.max({}, axis=0, keepdims=True)",
    "flat_batch": "np.sum({}, axis=1)", "flat_features": "np.sum({}, axis=0)", "flat": "np.ravel({})",
}  # fmt: skip
_WHEN = {"over_time": "", "first": "", "last": "if t == T_x - 1: ", "without_first": "if t > 0: ",
         "without_last": "if t < T_x - 1: "}  # fmt: skip
_LOCAL = ("omega", "log_y_hat", "losses")
_HELPERS = """
def sigmoid(Z):
    return 1.0 / (1.0 + np.exp(-Z))

def log_sum_exp(Z):
    shift = np.max(Z, axis=0, keepdims=True)
    return shift + np.log(np.sum(np.exp(Z - shift), axis=0, keepdims=True))

def softmax(Z):
    E = np.exp(Z - np.max(Z, axis=0, keepdims=True))
    return E / np.sum(E, axis=0, keepdims=True)
"""


def render(step: Step, edits: Mapping[str, Expression] | None = None) -> str:
    """Return the program: `<kind>_forward(X, Y, a0, parameters)` returns the loss and a cache,
    `<kind>_backward(X, Y, parameters, cache)` every gradient by name. ValueError for an edit that
    has no code here.
    """
    renderer = _Renderer(record(step), edits or {})
    lines = [*renderer.forward(), "", "", *renderer.backward()]
    return "\n".join(["import numpy as np", "", _HELPERS, "", *lines, ""])


@functools.cache
def _statement(text: str) -> str:
    """A statement without the brackets that it can do without."""
    return ast.unparse(ast.parse(text))


class _Renderer:
    def __init__(self, table: Table, edits: Mapping[str, Expression]):
        self.table, self.edits = table, edits
        name = table.step.cell.name
        self.kind = next((kind for kind in ("lstm", "gru", "rnn") if kind in name), "rnn")
        self.states, self.parameters = table.step.states, table.step.parameters
        self.kept = [e.name for e in table.of("forward") if e.name not in (*_LOCAL, "loss")]
        self.gradients = [e.name for e in table.of("backward") if e.name[1:] not in self.parameters]

    def forward(self):
        yield f"def {self.kind}_forward(X, Y, a0, parameters):"
        yield from map(_in, [*self._sizes(), *map(self._zeros, self.kept), "loss = 0.0"])
        yield _in("a_prev = a0")
        yield from (_in(f"{s}_prev = np.zeros((n_a, m))") for s in self.states[1:])
        yield _in("for t in range(T_x):")
        yield _in(_in("omega = np.sum(Y[:, :, t], axis=0, keepdims=True) / m"))
        for e in self.table.of("forward"):
            line = self._forward_line(e.name, self.edits.get(e.name, e.expression))
            yield _in(_in(_statement(line)))
        yield from (_in(_in(f"{s}_prev = {_array(s)}[:, :, t]")) for s in self.states)
        yield _in(f"return (loss, dict(a0=a0, {', '.join(f'{q}={_array(q)}' for q in self.kept)}))")

    def backward(self):
        yield f"def {self.kind}_backward(X, Y, parameters, cache):"
        yield from map(_in, [*self._sizes(), "a0 = cache['a0']"])
        yield from (_in(f"{_array(q)} = cache[{q!r}]") for q in self.kept)
        yield from map(_in, map(self._zeros, self.gradients))
        yield from (_in(f"d{p} = np.zeros_like({p})") for p in self.parameters)
        yield from (_in(f"d{s}_next = np.zeros((n_a, m))") for s in self.states)
        yield _in("for t in reversed(range(T_x)):")
        yield _in(_in("omega = np.sum(Y[:, :, t], axis=0, keepdims=True) / m"))
        for s in self.states:
            start = "a0" if s == "a" else "np.zeros((n_a, m))"
            yield _in(_in(f"{s}_prev = {_array(s)}[:, :, t - 1] if t > 0 else {start}"))
        for e in self.table.of("backward"):
            line = self._backward_line(e.name, self.edits.get(e.name, e.expression))
            yield _in(_in(_statement(line)))
        yield from (_in(_in(f"d{s}_next = d{s}_prev[:, :, t]")) for s in self.states)
        returned = [*self.gradients, *(f"d{p}" for p in self.parameters)]
        initial = ", ".join(f"d{s}0=d{s}_next" for s in self.states)
        yield _in(f"return dict({', '.join(f'{q}={q}' for q in returned)}, {initial})")

    def _sizes(self):
        yield from (f"{p} = parameters[{p!r}]" for p in self.parameters)
        yield from ("n_x, m, T_x = X.shape", "n_y, n_a = W_ya.shape")

    def _zeros(self, name):
        rows, columns = self.table.shapes[name]
        return f"{_array(name)} = np.zeros(({rows}, {columns}, T_x))"

    def _forward_line(self, name, right):
        if name == "loss":
            return f"loss += ({self._code(right)}).item()"
        place = name if name in _LOCAL else f"{_array(name)}[:, :, t]"
        return f"{place} = {self._code(right)}"

    def _backward_line(self, name, right):
        if name in self.gradients:
            return f"{name}[:, :, t] = {self._code(right)}"
        operation = right.operation if right.operation in _WHEN else "over_time"
        share = right.operands[0] if right.operation in _WHEN else right
        total = "" if operation == "first" else f"{name} + "  # not +=, which refuses a wrong shape
        return f"{_WHEN[operation]}{name} = {total}{self._code(share)}"

    def _code(self, expression):
        if expression.operation == "quantity":
            return self._leaf(expression.name)
        if expression.operation == "number":
            return repr(expression.value).removesuffix(".0")
        if expression.operation not in _CODE:
            raise ValueError(f"{expression.operation} has no code here")
        return _CODE[expression.operation].format(*map(self._code, expression.operands))

    def _leaf(self, name):
        base, _, at = name.partition("@")
        if at:
            return self._moved(base, at)
        if name in self.parameters or name in (*_LOCAL, "m", "n_x", "n_a", "n_y"):
            return name
        carried = {f"{s}_prev" for s in self.states} | {f"d{s}_next" for s in self.states}
        if name in carried:
            return name
        return "T_x" if name == "T" else f"{_array(name)}[:, :, t]"

    def _moved(self, base, at):
        array, start = _array(base), "a0" if base == "a" else "np.zeros((n_a, m))"
        known = {"wrapped": f"{array}[:, :, t - 1]", "first": f"{array}[:, :, 0]",
                 "last": f"{array}[:, :, -1]", "initial": start, "-1": f"{array}[:, :, t - 1]",
                 "zeroed": f"({array}[:, :, t - 1] if t > 0 else np.zeros((n_a, m)))"}  # fmt: skip
        if at not in known or base.endswith("_next"):
            raise ValueError(f"{base} at step {at} has no code here")
        return known[at]


def _array(name):
    """What the program calls a quantity of all steps: X, A, Z_a, Y_hat; gradients as they are."""
    return name if name[:1] == "d" else name[:1].upper() + name[1:]


def _in(text):
    return textwrap.indent(text, "    ")
