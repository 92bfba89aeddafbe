"""A part of the unrolled step: a cell, the output layer, a loss.

A part is two functions of named quantities, `forward` and `backward`, that return dictionaries of
named quantities. Whoever runs it, on arrays or on symbols, keeps one dictionary of what is known
by name, hands a part what its arguments ask for, and takes back what it returns.
"""

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Known = Mapping[str, Any]
Function = Callable[..., dict[str, Any]]


@dataclass(frozen=True)
class Part:
    """One part of the step.

    `shapes` declares the quantities the part brings: parameters, input and states of a cell.
    `initial` names parameters that start at a constant other than the rule's, `meanings` explains
    names that the legend does not know, or knows in another sense.
    """

    name: str
    title: str
    source: str
    shapes: Mapping[str, str]
    forward: Function
    backward: Function
    initial: Mapping[str, float] = field(default_factory=dict)
    activations: tuple[str, ...] = ()
    meanings: Mapping[str, str] = field(default_factory=dict)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What `forward` asks for, in its order."""
        return arguments(self.forward)

    @property
    def states(self) -> tuple[str, ...]:
        """What is carried from step to step: every `s` whose `s_prev` the forward asks for."""
        return tuple(n.removesuffix("_prev") for n in self.inputs if n.endswith("_prev"))

    @property
    def parameters(self) -> tuple[str, ...]:
        """What is learned: every declared quantity the forward asks for, input and states aside."""
        return tuple(n for n in self.inputs if n in self.shapes and n not in ("x", *self.states))


@functools.cache
def arguments(function: Function) -> tuple[str, ...]:
    """Return the names of the quantities that `function` asks for."""
    return tuple(inspect.signature(function).parameters)


def call(function: Function, known: Known) -> dict[str, Any]:
    """Run one function of a part on what is known, and return what it computed, by name."""
    return function(**{name: known[name] for name in arguments(function)})
