"""The engines, one file each, found by looking into this folder.

An engine has two functions, both described in reference.py: `forward` runs a step over the
sequences of a batch, `backward` goes back over what was kept.
"""

import importlib
import pkgutil
from types import ModuleType

from unrolled.errors import UnrolledError


def engine_names() -> list[str]:
    """Return the names of all engines in this folder, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load_engine(name: str) -> ModuleType:
    """Return the engine `name`; "auto" is the fastest that there is.

    Raises UnrolledError where there is no such engine.
    """
    if name == "auto":
        name = "reference"
    if name not in engine_names():
        raise UnrolledError(
            f"engine {name!r} is not known: expected 'auto', {', '.join(map(repr, engine_names()))}"
        )
    return importlib.import_module(f"{__name__}.{name}")
