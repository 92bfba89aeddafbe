"""The unrolled step: a cell, the output layer, a loss, and what links one step to the next.

What runs together at every step is a stage: a cell for one layer in one direction, or what stands
below and above it. Engines run stages on arrays and the recorder runs them on symbols, both through
`forward` and `backward` here, so what is printed is what is computed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from unrolled.activations import ACTIVATIONS, Activation
from unrolled.cells import load_cell
from unrolled.embedding import EMBEDDING
from unrolled.errors import UnrolledError
from unrolled.notation import Shape, parse_shape
from unrolled.outputs import OUTPUT_LAYER, PREDICTIONS, Loss, choose_loss
from unrolled.parts import Known, Part, arguments, call


@dataclass(frozen=True, eq=False)
class Stage:
    """Parts that run together at every step, `parts` in the order of computation, `undone` in that of
    the backward. `given` holds what they take from outside at each step, `upstream` the gradients
    that come back to them at each step; both are shapes by name. `states` are carried to the next
    step, so `given` has their `s_prev` and `upstream` their `ds_next`.
    """

    parts: tuple[Part, ...]
    undone: tuple[Part, ...]
    given: Mapping[str, Shape]
    upstream: Mapping[str, Shape]
    states: tuple[str, ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def parameters(self) -> dict[str, Shape]:
        """The learned quantities and their shapes in symbols, in the order of the files."""
        return {
            name: parse_shape(part.shapes[name]) for part in self.parts for name in part.parameters
        }

    @cached_property
    def symbols(self) -> dict[str, Shape]:
        """The shapes in symbols of all that comes from outside."""
        return {**self.parameters, **self.given, **self.upstream}

    @cached_property
    def taken(self) -> frozenset[str]:
        """The gradients that come to the stage from outside at each step."""
        return frozenset(self.upstream.keys() - {f"d{s}_next" for s in self.states})

    @cached_property
    def needed(self) -> frozenset[str]:
        """The names that the backward asks for: what a run has to keep."""
        return frozenset(name for part in self.undone for name in arguments(part.backward))

    def forward(self, known: Known) -> dict[str, Any]:
        """Return all that one step computes from what is given and the parameters."""
        computed: dict[str, Any] = {}
        for part in self.parts:
            computed |= call(part.forward, {**self.constants, **known, **computed})
        return computed

    def backward(self, known: Known, upstream: Known) -> dict[str, Any]:
        """Return all gradients of one step; `upstream` holds what is added to a gradient."""
        computed: dict[str, Any] = {}
        for part in self.undone:
            gradients = call(part.backward, {**self.constants, **known, **computed})
            for name in gradients.keys() & upstream.keys():
                gradients[name] = gradients[name] + upstream[name]
            computed |= gradients
        return computed


_Y: dict[str, Shape] = {"y": ("n_y", "m"), "omega": (1, "m")}
EMBEDDING_STAGE = Stage(
    (EMBEDDING,), (EMBEDDING,), {"x": ("n_x", "m")}, {"de": ("n_e", "m")}
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Step:
    """One time step of a network of one layer, in parts."""

    cell: Part
    prediction: Part
    loss: Loss
    activation: Activation | None
    layer: Part = OUTPUT_LAYER

    @property
    def states(self) -> tuple[str, ...]:
        return self.cell.states

    @property
    def parameters(self) -> dict[str, Shape]:
        """The learned quantities and their shapes in symbols, in the order of the files."""
        return self.whole.parameters

    @cached_property
    def needed(self) -> frozenset[str]:
        """What a run has to keep for its way back."""
        return self.recurrence.needed | self.head.needed | {*self.states}

    @cached_property
    def recurrence(self) -> Stage:
        """The cell alone: what one layer runs in one direction."""
        carried = {s: parse_shape(self.cell.shapes[s]) for s in self.states}
        return Stage(
            parts=(self.cell,), undone=(self.cell,),
            given={"x": parse_shape(self.cell.shapes["x"]),
                   **{f"{s}_prev": shape for s, shape in carried.items()}},
            upstream={"da_y": carried["a"], **{f"d{s}_next": carried[s] for s in carried}},
            states=self.states,
            constants={} if self.activation is None else {"g": self.activation},
        )  # fmt: skip

    @cached_property
    def head(self) -> Stage:
        """What follows the cell: output layer, prediction and loss, which carry no state."""
        skipped = (
            () if self.loss.from_logits else (self.prediction,)
        )  # a loss of the logits skips ŷ
        return Stage(
            (self.layer, self.prediction, self.loss.part),
            (self.loss.part, *skipped, self.layer), {"a": ("n_a", "m"), **_Y}, {},
        )  # fmt: skip

    @cached_property
    def head_without_targets(self) -> Stage:
        """The same without a loss: gradients come from outside."""
        return Stage(
            (self.layer, self.prediction), (self.prediction, self.layer),
            {"a": ("n_a", "m")}, {"dy_hat": ("n_y", "m")},
        )  # fmt: skip

    @cached_property
    def whole(self) -> Stage:
        """All of it, as it is printed."""
        cell, head = self.recurrence, self.head
        carried = {name: shape for name, shape in cell.upstream.items() if name != "da_y"}
        return Stage(
            cell.parts + head.parts, head.undone + cell.undone,
            {"x": cell.given["x"], **_Y, **cell.given}, carried,
            cell.states, cell.constants,
        )  # fmt: skip


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
