"""The unrolled step: a cell, the output layer, a loss, and what links one step to the next.

Engines run it on arrays and the recorder runs it on symbols, both through `forward` and `backward`
here, so what is printed is what is computed.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from unrolled.activations import ACTIVATIONS, Activation
from unrolled.cells import load_cell
from unrolled.errors import UnrolledError
from unrolled.notation import Shape, parse_shape
from unrolled.outputs import OUTPUT_LAYER, PREDICTIONS, Loss, choose_loss
from unrolled.parts import Known, Part, arguments, call

# How the upstream gradient of a quantity enters the step: as which contribution.
CONTRIBUTIONS = {"y_hat": "dy_hat", "z_y": "dz_y", "a": "da_y"}


@dataclass(frozen=True)
class Step:
    """One time step of a network, in parts."""

    cell: Part
    prediction: Part
    loss: Loss
    activation: Activation | None
    layer: Part = OUTPUT_LAYER

    @cached_property
    def constants(self) -> dict[str, Any]:
        """What every step knows beside quantities: the activation g."""
        return {} if self.activation is None else {"g": self.activation}

    @property
    def states(self) -> tuple[str, ...]:
        return self.cell.states

    @cached_property
    def parameters(self) -> dict[str, Shape]:
        """The learned quantities and their shapes in symbols, in the order of the files."""
        return {
            name: parse_shape(part.shapes[name])
            for part in (self.cell, self.layer)
            for name in part.parameters
        }

    def forward_parts(self, targets: bool) -> tuple[Part, ...]:
        """The parts in the order of computation; without targets there is no loss."""
        return (self.cell, self.layer, self.prediction, *([self.loss.part] if targets else []))

    def backward_parts(self, targets: bool) -> tuple[Part, ...]:
        """The same undone; a loss taken from the logits passes over the prediction."""
        if not targets:
            return (self.prediction, self.layer, self.cell)
        if self.loss.from_logits:
            return (self.loss.part, self.layer, self.cell)
        return (self.loss.part, self.prediction, self.layer, self.cell)

    def forward(self, known: Known, targets: bool) -> dict[str, Any]:
        """Return all that one step computes from x, the previous states and the parameters."""
        computed: dict[str, Any] = {}
        for part in self.forward_parts(targets):
            computed |= call(part.forward, {**self.constants, **known, **computed})
        return computed

    def backward(self, known: Known, upstream: Known, targets: bool) -> dict[str, Any]:
        """Return all gradients of one step; `upstream` holds what is added to a contribution."""
        computed: dict[str, Any] = {}
        for part in self.backward_parts(targets):
            gradients = call(part.backward, {**self.constants, **known, **computed})
            for name in gradients.keys() & upstream.keys():
                gradients[name] = gradients[name] + upstream[name]
            computed |= gradients
        return computed

    def needed(self, targets: bool) -> frozenset[str]:
        """The names that the backward asks for: what a run has to keep."""
        return frozenset(n for p in self.backward_parts(targets) for n in arguments(p.backward))


def build_step(
    cell: Any, activation: str | None = None, output: str = "softmax", loss: str | None = None
) -> Step:
    """Return the step of a cell (a name, a path, a module) with an activation, an output and a loss.

    Raises UnrolledError where a name is not known, or where the cell has no choice of activation.
    """
    part = load_cell(cell)
    if not isinstance(output, str) or output not in PREDICTIONS:
        raise UnrolledError(f"output {output!r} is not known: expected {_one_of(PREDICTIONS)}")
    if part.activations:
        activation = part.activations[0] if activation is None else activation
        if activation not in part.activations:
            raise UnrolledError(
                f"activation {activation!r} is not one of cell {part.name}'s: "
                f"expected {_one_of(part.activations)}"
            )
    elif activation not in (None, "tanh"):
        raise UnrolledError(
            f"cell {part.name} has no choice of activation, and {activation!r} came"
        )
    chosen = ACTIVATIONS[activation] if part.activations and activation else None
    return Step(part, PREDICTIONS[output], choose_loss(output, loss), chosen)


def _one_of(names: Any) -> str:
    return ", ".join(repr(name) for name in names)
