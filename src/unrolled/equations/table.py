"""The recorded table: every equation of the unrolled step, from running its parts on symbols."""

import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from unrolled import notation
from unrolled.equations.expressions import Expression
from unrolled.equations.step import Stage, Step
from unrolled.equations.symbols import EquationError, Symbol, expression
from unrolled.notation import Shape, parse_shape, shape_text
from unrolled.parts import Function, Part, call

Key = tuple[str, int | None]  # a quantity, and its step; None for what is no step's
_RECORDED: WeakKeyDictionary[Stage, Any] = WeakKeyDictionary()


@dataclass(frozen=True)
class Equation:
    """`name` = `expression`, of shape `shape`.

    `direction` is "forward" or "backward" (once a step), "link" (between steps) or "total"
    (formed over all steps); `part` and `line` say where the equation stands in the code.
    """

    name: str
    expression: Expression
    direction: str
    part: str
    line: int = 0

    @property
    def shape(self) -> Shape:
        return self.expression.shape


@dataclass(frozen=True)
class Table:
    """The equations in the order of computation, and the shape of every quantity of a step."""

    step: Step
    equations: tuple[Equation, ...]
    shapes: dict[str, Shape]

    def of(self, direction: str) -> tuple[Equation, ...]:
        """Return the equations of one direction."""
        return tuple(e for e in self.equations if e.direction == direction)

    def meaning(self, name: str) -> str:
        """Return what a quantity means: as the cell file says, or as the legend does."""
        said = self.step.cell.meanings
        if name in said or not name.startswith("d") or name[1:] not in said:
            return said.get(name, notation.entry(name).meaning)
        return f"∂loss/∂{name[1:]}"

    def placed(self, name: str, t: int | None) -> Key:
        """Return where the number of a name in an equation of step t is kept: a state before it is the one
        of the step before, or the initial one; a parameter is no step's.
        """
        state = name.removesuffix("_prev")
        if name != state and state in self.step.states:
            return (state, t - 1) if t else (f"{state}0", None)
        return (name, None) if name in self.step.parameters else (name, t)

    @cached_property
    def per_step(self) -> frozenset[str]:
        """The quantities that have a value of their own at each step: all but the parameters."""
        return frozenset(self.shapes) - frozenset(self.step.parameters)


def record(step: Step) -> Table:
    """Run the step's parts on symbols and return the table of their equations.

    Raises EquationError where a part says what it may not say or where shapes do not fit.
    """
    equations, shapes = record_stage(step.whole)
    return Table(step, (*equations, *_links(step, shapes)), shapes)


def record_stage(stage: Stage) -> tuple[tuple[Equation, ...], dict[str, Shape]]:
    """Return the equations of a stage, forward and backward, and the shape of every quantity."""
    if stage not in _RECORDED:
        recorder = _Recorder(stage)
        recorder.forward()
        recorder.backward()
        _RECORDED[stage] = tuple(recorder.equations), recorder.shapes
    found: tuple[tuple[Equation, ...], dict[str, Shape]] = _RECORDED[stage]
    return found


class _Recorder:
    def __init__(self, stage: Stage):
        self.stage = stage
        self.equations: list[Equation] = []
        self.shapes: dict[str, Shape] = {**stage.parameters, **stage.given}

    def forward(self) -> None:
        for part in self.stage.parts:
            self._run(part, part.forward, "forward")
            for state in part.states:
                self._expect(part, state, state, "forward")

    def backward(self) -> None:
        self.shapes |= self.stage.upstream
        for part in self.stage.undone:
            self._run(part, part.backward, "backward")
        for part in self.stage.parts:
            for name in part.parameters:
                self._expect(part, f"d{name}", name, "backward")
            for state in part.states:
                self._expect(part, f"d{state}_prev", state, "backward")
            if "x" in part.shapes:
                self._expect(part, "dx", "x", "backward")

    def _run(self, part: Part, function: Function, direction: str) -> None:
        known: dict[str, Any] = dict(self.stage.constants)
        known |= {n: Symbol(Expression.quantity(n, shape)) for n, shape in self.shapes.items()}
        try:
            results = call(function, known)
        except KeyError as error:
            raise EquationError(
                f"{part.name}: {direction} asks for {error.args[0]!r}, which nothing before computes"
            ) from None
        except EquationError as error:
            raise EquationError(f"{part.name}, {direction}: {error}") from None
        except (Exception, SystemExit) as error:
            line = f", line {traceback.extract_tb(error.__traceback__)[-1].lineno}"
            raise EquationError(f"{part.name}, {direction}{line}: {error}") from error
        if not isinstance(results, dict):
            raise EquationError(
                f"{part.name}: {direction} returns {type(results).__name__}, expected a dictionary"
            )
        for name, result in results.items():
            if not isinstance(result, Symbol):
                raise EquationError(f"{part.name}: {name} is {result!r}, expected an equation")
            self._check_new(part, name, direction)
        self._write(part, {n: expression(result) for n, result in results.items()}, direction)

    def _check_new(self, part: Part, name: str, direction: str) -> None:
        if not isinstance(name, str) or not name.isidentifier():
            raise EquationError(f"{part.name}: {direction} returns {name!r}, which is no name")
        if name in self.shapes:
            owners = [e.part for e in self.equations if e.name == name]
            owner = f"computed by {owners[0]}" if owners else "given"
            raise EquationError(
                f"{part.name}: {direction} returns {name}, which is {owner}: names have to differ"
            )

    def _write(self, part: Part, results: dict[str, Expression], direction: str) -> None:
        """Split the part's expressions at every name it returned, in the order they were computed."""
        names = {id(result): name for name, result in results.items()}
        for name, result in sorted(results.items(), key=lambda item: item[1].serial):
            self.shapes[name] = result.shape
            split = result.with_names(names)
            self.equations.append(Equation(name, split, direction, part.name, result.line))

    def _expect(self, part: Part, name: str, of: str, direction: str) -> None:
        """A state, and the gradient of anything, has to be there and has to have its shape."""
        if name not in self.shapes:
            raise EquationError(f"{part.name}: {direction} does not return {name}")
        expected = self.shapes.get(of) if of != name else parse_shape(part.shapes[of])
        if self.shapes[name] != expected:
            raise EquationError(
                f"{part.name}: {name} has shape {shape_text(self.shapes[name])}, "
                f"expected {shape_text(expected or ())}, that of {of}"
            )


def _links(step: Step, shapes: dict[str, Shape]) -> Iterator[Equation]:
    """What ties steps together, for any cell: the previous state, the next step, sums over time."""

    def link(name: str, operation: str, *operands: str, direction: str = "link") -> Equation:
        quantities = tuple(Expression.quantity(n, shapes[operands[0]]) for n in operands)
        linked = Expression(operation, quantities, shapes[operands[0]])
        return Equation(name, linked, direction, "unrolling")

    for state in step.states:
        yield link(f"{state}_prev", "previous", state, f"{state}0")
    for state in reversed(step.states):
        yield link(f"d{state}_next", "next", f"d{state}_prev")
    yield link("loss", "over_time", "loss", direction="total")
    for name in step.parameters:
        yield link(f"d{name}", "over_time", f"d{name}", direction="total")
    for state in step.states:
        yield link(f"d{state}0", "first", f"d{state}_prev", direction="total")
