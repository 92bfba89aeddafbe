"""A binding: a few lines of Python that say how a program is run, where nothing else fits it.

    cell = "rnn"                       # or "lstm", "gru"

    def run(module, problem):
        net = module.Net(problem.n_x, problem.n_a, problem.n_y)
        net.W[...] = problem.parameters["W_aa"]
        loss, dW = net.train_step(problem.X, problem.Y)
        return {"loss": loss, "dW_aa": dW}

`run` gets the program, whose functions and globals are attributes, and a problem; it returns what the
program computed by the legend's names. `docs/check.md` has the attributes.
"""

import dataclasses
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from pathlib import Path
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.cells import cell_names
from unrolled.checking.problems import Problem
from unrolled.checking.sources import Source, read_source
from unrolled.errors import UnrolledError, about, one_line

Array = Any
LAYOUTS = ("n m T", "m T n", "T m n")
_ATTRIBUTES = ("cell", "layout", "loss", "states")


class Module:
    """A program's globals as attributes; what is set is what its functions see."""

    def __init__(self, namespace: MutableMapping[str, Any]):
        object.__setattr__(self, "_namespace", namespace)

    def __getattr__(self, name: str) -> Any:
        try:
            return self._namespace[name]
        except KeyError:
            there = ", ".join(sorted(n for n in self._namespace if not n.startswith("_")))
            raise AttributeError(f"the program has no {name}; it has {there}") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self._namespace[name] = value


@dataclasses.dataclass(frozen=True)
class Given:
    """A problem as `run` gets it: fresh arrays, in the binding's layout.

    X is (n_x, m, T), Y is (n_y, m, T), a0 (and c0, of an LSTM) is (n_a, m), dA is (n_a, m, T), in the
    order of axes that `layout` says; `parameters` has the legend's names and shapes.
    """

    X: Array
    Y: Array
    a0: Array
    c0: Array | None
    dA: Array  # noqa: N815 - the legend's name
    parameters: dict[str, Array]
    n_x: int
    n_a: int
    n_y: int
    m: int
    T: int


@dataclasses.dataclass(frozen=True)
class Binding:
    """How to run a program. `states` are the initial states that it takes ("a", "c"), None for all."""

    function: Callable[[Any, Any], Any]
    cell: str = "rnn"
    layout: str = "n m T"
    loss: bool = True
    states: frozenset[str] | None = None

    def run(self, namespace: MutableMapping[str, Any], problem: Problem) -> dict[str, Array]:
        """Run a program on a problem; return what it computed by the legend's names, in its layout:
        (n, m, T), (n, m), a parameter's shape, or a number.

        Raises what their code raises, and UnrolledError where the result is not as it should be.
        """
        found = self.function(Module(namespace), self._given(problem))
        return {name: self._legend(name, np.asarray(value)) for name, value in _named(found)}

    def _given(self, problem: Problem) -> Given:
        sizes = {name: problem.sizes[name] for name in ("n_x", "n_a", "n_y", "m", "T")}
        arrays = {"X": problem.X, "Y": problem.Y, "dA": problem.dA,
                  "a0": problem.state["a"], "c0": problem.state.get("c")}  # fmt: skip
        theirs = {n: None if v is None else self._theirs(v) for n, v in arrays.items()}
        parameters = {name: np.array(value) for name, value in problem.parameters.items()}
        return Given(parameters=parameters, **theirs, **sizes)  # type: ignore[arg-type]

    def _theirs(self, array: Array) -> Array:
        return np.array(array.transpose(self._order(array.ndim)), order="C")

    def _order(self, axes: int) -> list[int]:
        """Return which of the legend's axes is each of theirs: of one step, all but the time."""
        return ["nmT".index(a) for a in self.layout.split() if a != "T" or axes == 3]

    def _legend(self, name: str, array: Array) -> Array:
        of_a_batch = array.ndim == 3 or "m" in notation.entry(name).shape.split()
        if array.ndim not in (2, 3) or not of_a_batch:
            return array
        return array.transpose(np.argsort(self._order(array.ndim)))


def load_binding(what: str | Path | Source | Callable[[Any, Any], Any]) -> Binding:
    """Return the binding in a file or a text, or the one that a function is (its attributes say the
    rest: `run.cell = "lstm"`). Raises UnrolledError where it is none.
    """
    if callable(what) and not isinstance(what, Source):
        return _made(
            what, {n: getattr(what, n) for n in _ATTRIBUTES if hasattr(what, n)}, "the binding"
        )
    source = what if isinstance(what, Source) else read_source(what)
    namespace: dict[str, Any] = {"__name__": "binding", "__file__": source.name, "np": np}
    try:
        exec(compile(source.text, source.name, "exec"), namespace)
    except Exception as error:
        raise UnrolledError(
            one_line(f"{source.name} cannot be used as a binding: {type(error).__name__}: {error}")
        ) from None
    return _made(namespace.get("run"), namespace, source.name)


def binding_source(what: Any) -> Source:
    """Return the text of a binding, to be sent to another process: a path, or a function.

    Raises UnrolledError where it is neither.
    """
    if not callable(what):
        return read_source(what)
    try:
        text = textwrap.dedent(inspect.getsource(what))
    except (OSError, TypeError):
        raise UnrolledError(
            "the text of the binding is not known: write it into a file and give its path"
        ) from None
    said = [f"{n} = {getattr(what, n)!r}" for n in _ATTRIBUTES if hasattr(what, n)]
    name = getattr(what, "__name__", "run")
    return Source("the binding", "\n".join([text, *said, f"run = {name}", ""]))


def _made(function: Any, said: Mapping[str, Any], name: str) -> Binding:
    with about(name):
        if not callable(function):
            raise UnrolledError("it has no function run(module, problem)")
        chosen = {n: said[n] for n in _ATTRIBUTES if n in said}
        binding = Binding(function, **chosen)
        if binding.cell not in cell_names():
            raise UnrolledError(
                f"cell is {binding.cell!r}: expected one of {', '.join(cell_names())}"
            )
        if binding.layout not in LAYOUTS:
            raise UnrolledError(
                f"layout is {binding.layout!r}: expected one of {', '.join(LAYOUTS)}"
            )
        if binding.states is not None:
            binding = dataclasses.replace(binding, states=frozenset(binding.states))
        return binding


def _named(found: Any) -> Iterator[tuple[str, Any]]:
    """Yield what `run` returned, if it is a dictionary of the legend's names."""
    if not isinstance(found, dict) or not found:
        raise UnrolledError(
            f"run returned {type(found).__name__}: expected a dictionary of arrays by the legend's names"
        )
    for name, value in found.items():
        if not isinstance(name, str) or not notation.entry(name).meaning:
            raise UnrolledError(
                f"run returned {one_line(repr(name), 40)}, which is not in the legend: expected names as a, y_hat, dW_aa"
            )
        if value is not None:
            yield name, value
