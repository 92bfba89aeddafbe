"""Modules that a person's file imports and that are not there: the course's helpers, and harmless ones."""

import ast
import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from unrolled.activations import ACTIVATIONS, softmax_jacobian
from unrolled.dls import rnn_utils

Array = Any

HELPERS = {
    "rnn_utils", "utils", "util", "lstm_utils", "gru_utils", "dls", "helpers", "helper", "functions",
    "activations", "public_tests", "test_utils", "testCases", "planar_utils", "dnn_utils", "rnn_helpers",
}  # fmt: skip
HARMLESS = {
    "matplotlib", "seaborn", "tqdm", "IPython", "plotly", "tensorboardX", "wandb", "pylab", "nltk",
    "termcolor", "prettytable", "bokeh",
}  # fmt: skip


class Harmless(ModuleType):
    """A module, object and function that does nothing: whatever is asked of it gives it back."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self

    def __call__(self, *given: Any, **named: Any) -> Any:
        """Return the first thing that it is given, as tqdm does with what it goes through."""
        return given[0] if given and hasattr(given[0], "__iter__") else self

    def __iter__(self) -> Any:
        return iter((self, self))

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        return None


def is_helper(name: str, tree: ast.AST) -> bool:
    """Return whether activations are taken from a module, whatever its name is."""
    return bool(_taken(name, tree) & set(_functions(tree)))


def _taken(module: str, tree: ast.AST) -> set[str]:
    """Return what a piece of code takes from a module: `tanh` of `from nn import tanh` or `nn.tanh`."""
    found: set[str] = set()
    names = {module.partition(".")[0]}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == module:
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            names |= {a.asname for a in node.names if a.name == module and a.asname}
    return found | {
        n.attr for n in ast.walk(tree)
        if isinstance(n, ast.Attribute) and getattr(n.value, "id", None) in names
    }  # fmt: skip


def helpers(name: str, tree: ast.AST) -> ModuleType:
    """Return a module with the course's helper functions, for the calls that are in `tree`.

    `tanh_backward(Z)` is the derivative at Z; with dA, which may come first or second, that times dA.
    """
    module = ModuleType(name)
    module.__dict__.update(_functions(tree))
    module.__dict__["initialize_adam"] = rnn_utils.initialize_adam
    module.__dict__["update_parameters_with_adam"] = rnn_utils.update_parameters_with_adam
    module.__dict__["__getattr__"] = lambda missing: _missing(name, missing)
    return module


@functools.cache
def _functions(tree: ast.AST) -> dict[str, Callable[..., Array]]:
    """Return the activations, each with its derivative as the calls in `tree` take it."""
    found: dict[str, Callable[..., Array]] = {}
    for activation, g in ACTIVATIONS.items():
        if activation != "linear":
            called = f"{activation}_backward"
            found[activation] = g.forward
            found[called] = _backward(called, _gradient_first(called, tree))
    return found


def _missing(module: str, name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)

    def absent(*given: Any, **named: Any) -> Any:
        raise NotImplementedError(
            f"{name} of {module} is not there, and its name does not say what it is"
        )

    return absent


def _backward(called: str, gradient_first: bool) -> Callable[..., Array]:
    function = getattr(rnn_utils, called)

    def backward(first: Array, second: Array = None, *rest: Array) -> Array:
        if (
            second is None and called == "softmax_backward"
        ):  # what an elementwise product would take
            p = ACTIVATIONS["softmax"](np.asarray(first))
            return np.einsum("kk...->k...", softmax_jacobian(p))
        return function(second, first) if gradient_first else function(first, second)

    backward.__name__ = called
    return backward


def _gradient_first(called: str, tree: ast.AST) -> bool:
    """Return whether the calls of a helper name the gradient as their first argument of two."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and len(node.args) == 2:
            of = (
                node.func.attr
                if isinstance(node.func, ast.Attribute)
                else getattr(node.func, "id", "")
            )
            first, second = (_word(argument).startswith(("d", "grad")) for argument in node.args)
            if of == called and first > second:
                return True
    return False


def _word(node: ast.AST) -> str:
    """Return the word that says what an expression is: the key or attribute where there is one."""
    keys = (
        n.value for n in ast.walk(node) if isinstance(n, ast.Constant) and isinstance(n.value, str)
    )
    names = (n.id for n in ast.walk(node) if isinstance(n, ast.Name))
    return str(next(keys, "") or next(names, ""))
