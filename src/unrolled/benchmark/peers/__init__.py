"""What a user would pick instead, one file a library, found by looking into this folder.

A file has `title`, `package` (what pip and import call it), `prepare(threads)`, which imports the
library on that many threads and returns its version, `contender(problem)`, which is None for a cell
that the library has not, and, where it has a product of its own, `product(n, dtype)`.
"""

import importlib
import importlib.util
import pkgutil
from types import ModuleType


def all_peers() -> list[ModuleType]:
    """Return every peer's file; the library itself is not imported."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}") for name in names]


def is_installed(peer: ModuleType) -> bool:
    """Return whether the peer's library is there."""
    return importlib.util.find_spec(peer.package) is not None
