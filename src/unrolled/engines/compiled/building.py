"""From the text of a kernel to machine code, which stays on disk: the next process finds it there.

A text goes into a file whose name has a digest of all that the machine code depends on: the text, this
folder's own files, the versions of the compiler, and the processor. So what has changed is never mistaken
for what is there.
"""

import functools
import hashlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import llvmlite
import llvmlite.binding
import numba
from platformdirs import user_cache_path

from unrolled.engines.compiled.toolkit import SHARED
from unrolled.engines.compiled.vectors import target
from unrolled.files import write_text

Kernel = Callable[[Any, Any, int, int], None]

_KERNEL = '''"""{title}: written by unrolled.engines.compiled.source, and compiled."""

from numba import njit

from unrolled.engines.compiled.toolkit import toolkit

globals().update(toolkit("{dtype}", "{symbol}"))


{text}


types = "void(int64[::1], int64[::1], int64, int64)"
kernel = njit(types, nogil=True, cache={cache}, error_model="numpy")(kernel)
'''
_SHARED = '''"""What kernels for {dtype} call, compiled."""

from numba import cfunc

from unrolled.engines.compiled.toolkit import shared, signature

'''
_ONE_SHARED = '''
{name}_ = shared("{name}", "{dtype}")


@cfunc(signature("{name}", "{dtype}"), cache={cache})
def {name}({given}):
    {name}_({given})

'''


def build(title: str, text: str, dtype: str) -> Kernel:
    """Return the compiled kernel of a text, from disk where it has been compiled before."""
    symbol = _ready(dtype)
    folder = _folder()
    whole = _KERNEL.format(
        title=title, dtype=dtype, symbol=symbol, text=text, cache=folder is not None
    )  # fmt: skip
    kernel: Kernel = _load(title, whole, dtype, folder).kernel
    return kernel


@functools.cache
def _ready(dtype: str) -> str:
    """Make what kernels call ready; return what the names end with under which it is to be found."""
    folder = _folder()
    text = _SHARED.format(dtype=dtype)
    for name, given in SHARED.items():
        names = ", ".join(each.partition(":")[0] for each in given.split())
        text += _ONE_SHARED.format(name=name, dtype=dtype, given=names, cache=folder is not None)
    module = _load("matrix products", text, dtype, folder)
    symbol = f"{dtype}_{_digest('', dtype)}"
    for name in SHARED:
        llvmlite.binding.add_symbol(f"{name}_{symbol}", getattr(module, name).address)
    return symbol


def _load(title: str, text: str, dtype: str, folder: Path | None) -> ModuleType:
    """Write a text into its file, if it is not there, and import it, which compiles it or finds it."""
    name = f"{re.sub(chr(92) + 'W+', '_', title)}_{dtype}_{_digest(text, dtype)}"
    place = Path(folder or tempfile.mkdtemp()) / f"{name}.py"
    if not place.is_file():
        write_text(place, text)
    if not any(place.parent.glob(f"__pycache__/{name}.*.nbc")):
        print(f"unrolled: compiling {title} for {dtype}, once", file=sys.stderr, flush=True)
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _folder() -> Path | None:
    """Return the folder that compiled kernels are kept in, or None where none can be."""
    folder = user_cache_path("unrolled") / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _digest(text: str, dtype: str) -> str:
    said = (text, dtype, _own_files(), numba.__version__, llvmlite.__version__, sys.version, *target())
    return hashlib.sha256("\0".join(said).encode()).hexdigest()[:16]


@functools.cache
def _own_files() -> str:
    """Return a digest of the files that are compiled into every kernel."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()
