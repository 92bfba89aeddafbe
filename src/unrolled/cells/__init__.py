"""The cells, one file each, found by looking into this folder.

A cell file has a docstring (what it is, in one line), `source`, `shapes`, `forward` and `backward`;
`initial`, `activations` and `meanings` where it needs them. docs/add-a-cell.md walks through one.
"""

import importlib
import inspect
import math
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from unrolled.activations import ACTIVATIONS
from unrolled.errors import UnrolledError, is_number
from unrolled.parts import Part, arguments

__all__ = ["cell_names", "load_cell"]


def cell_names() -> list[str]:
    """Return the names of all cells in this folder, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load_cell(cell: str | Path | ModuleType) -> Part:
    """Return a cell by its name, by the path of a cell file, or from a module that is one.

    Raises UnrolledError where there is no such cell, or where the file lacks something.
    """
    if isinstance(cell, ModuleType):
        return _part(cell)
    if str(cell).endswith(".py"):
        return _part(_module_at(Path(cell)))
    if isinstance(cell, str) and cell in cell_names():
        return _part(importlib.import_module(f"{__name__}.{cell}"))
    raise UnrolledError(
        f"cell {str(cell)!r} is not known: expected one of {', '.join(cell_names())}, "
        "or the path of a cell file that ends in .py"
    )


def _module_at(path: Path) -> ModuleType:
    if not path.is_file():
        raise UnrolledError(f"cell file {path} is not there")
    module = ModuleType(path.stem)
    module.__file__ = str(path)
    try:  # not by import, which may take a compiled file of what the text was a moment ago
        exec(compile(path.read_bytes(), path, "exec"), module.__dict__)
    except SyntaxError as error:
        raise UnrolledError(f"cell file {path}, line {error.lineno}: {error.msg}") from None
    except (Exception, SystemExit) as error:
        raise UnrolledError(f"cell file {path} cannot be run: {error!r}") from error
    return module


def _part(module: ModuleType) -> Part:
    name = module.__name__.rpartition(".")[2]
    for needed in ("source", "shapes", "forward", "backward"):
        if not hasattr(module, needed):
            raise UnrolledError(f"cell {name} lacks {needed!r}: see docs/add-a-cell.md")
    part = Part(
        name=name,
        title=(inspect.getdoc(module) or name).splitlines()[0],
        source=str(module.source),
        shapes=module.shapes,
        forward=module.forward,
        backward=module.backward,
        initial=getattr(module, "initial", {}),
        activations=getattr(module, "activations", ()),
        meanings=getattr(module, "meanings", {}),
    )
    for check in (_check_declarations, _check_arguments, _check_shapes):
        if complaint := next(check(part), ""):
            raise UnrolledError(f"cell {name}: {complaint}; see docs/add-a-cell.md")
    return part


def _check_declarations(part: Part) -> Iterator[str]:
    """Yield what is wrong with what a cell file declares."""
    if not (inspect.isfunction(part.forward) and inspect.isfunction(part.backward)):
        yield "forward and backward have to be functions"
    if not isinstance(part.shapes, dict) or "x" not in part.shapes:
        yield "shapes has to be a dictionary that begins with x"
    for quantity, shape in part.shapes.items():
        axes = shape.split() if isinstance(shape, str) else []
        if len(axes) != 2 or not set(axes) <= {"n_x", "n_a", "n_y", "m", "1"}:
            yield f"the shape of {quantity} is {shape!r}, expected two of n_x n_a n_y m 1"
    choices = part.activations
    if not isinstance(choices, tuple | list) or any(c not in list(ACTIVATIONS) for c in choices):
        yield f"activations is {choices!r}, expected a tuple of {', '.join(ACTIVATIONS)}"
    if not isinstance(part.initial, dict) or not all(map(_is_finite, part.initial.values())):
        yield f"initial is {part.initial!r}, expected a dictionary of numbers"


def _is_finite(value: Any) -> bool:
    return is_number(value) and math.isfinite(value)


def _check_arguments(part: Part) -> Iterator[str]:
    """Yield what is misspelt: said by name here, and not as a KeyError in the middle of a run."""
    if not part.states or part.states[0] != "a":
        yield "forward has to take a_prev before any other state"
    for state in part.states:
        if state not in part.shapes:
            yield f"the state {state!r} is not in shapes"
        if f"d{state}_next" not in arguments(part.backward):
            yield f"backward has to take d{state}_next"
    for name in part.inputs:
        if name not in {*part.shapes, *(f"{state}_prev" for state in part.states), "g"}:
            yield f"forward asks for {name!r}, which is not in shapes ({', '.join(part.shapes)})"
    for name in part.initial:
        if name not in part.parameters:
            yield f"initial names {name!r}, which is not a parameter"
    if ("g" in part.inputs) != bool(part.activations):
        yield "a forward that takes an activation g names the choices in `activations`"


def _check_shapes(part: Part) -> Iterator[str]:
    """Yield a shape that does not go with what the quantity is: input, state or parameter."""
    expected = {"x": "n_x m", **dict.fromkeys(part.states, "n_a m")}
    for name, shape in part.shapes.items():
        if name in expected and shape.split() != expected[name].split():
            yield f"the shape of {name} is {shape!r}, expected {expected[name]!r}"
        if name in part.parameters and "m" in shape.split():
            yield f"the shape of {name} is {shape!r}, but a parameter has no batch axis m"
