"""The cells, one file each, found by looking into this folder.

A cell file has a docstring (what it is, in one line), `source`, `shapes`, `forward` and `backward`;
`initial` and `activations` where it needs them. docs/add-a-cell.md walks through one.
"""

import importlib
import importlib.machinery
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

from unrolled.errors import UnrolledError
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
    if cell in cell_names():
        return _part(importlib.import_module(f"{__name__}.{cell}"))
    raise UnrolledError(
        f"cell {str(cell)!r} is not known: expected one of {', '.join(cell_names())}, "
        "or the path of a cell file that ends in .py"
    )


def _module_at(path: Path) -> ModuleType:
    if not path.is_file():
        raise UnrolledError(f"cell file {path} is not there")
    loader = importlib.machinery.SourceFileLoader(path.stem, str(path))
    module = ModuleType(path.stem, None)
    module.__file__ = str(path)
    try:
        loader.exec_module(module)
    except Exception as error:
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
        source=module.source,
        shapes=module.shapes,
        forward=module.forward,
        backward=module.backward,
        initial=getattr(module, "initial", {}),
        activations=tuple(getattr(module, "activations", ())),
    )
    _check_arguments(part)
    return part


def _check_arguments(part: Part) -> None:
    """A misspelled argument is said by name, here, and not as a KeyError in the middle of a run."""
    if not part.states or part.states[0] != "a":
        raise UnrolledError(f"cell {part.name}: forward has to take a_prev before any other state")
    declared = {*part.shapes, *(f"{state}_prev" for state in part.states), "g"}
    for name in part.inputs:
        if name not in declared:
            raise UnrolledError(
                f"cell {part.name}: forward asks for {name!r}, which is not in shapes "
                f"({', '.join(part.shapes)})"
            )
    for state in part.states:
        if state not in part.shapes:
            raise UnrolledError(f"cell {part.name}: the state {state!r} is not in shapes")
        if f"d{state}_next" not in arguments(part.backward):
            raise UnrolledError(f"cell {part.name}: backward has to take d{state}_next")
    if "g" in part.inputs and not part.activations:
        raise UnrolledError(
            f"cell {part.name}: forward takes an activation g; name the choices in `activations`"
        )
