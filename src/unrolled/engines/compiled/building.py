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
from typing import Any

import llvmlite
import numba
from platformdirs import user_cache_path

from unrolled.engines.compiled.vectors import target
from unrolled.files import write_text

_SIGNATURE = "void(int64[::1], int64[::1], int64, int64)"
_HEAD = '''"""{title}: written by unrolled.engines.compiled.source, and compiled."""

from numba import njit

from unrolled.engines.compiled.toolkit import toolkit

globals().update(toolkit("{dtype}"))


'''
_TAIL = '\n\n\nkernel = njit("{signature}", nogil=True, cache={cache}, error_model="numpy")(kernel)\n'
Kernel = Callable[[Any, Any, int, int], None]


def build(title: str, text: str, dtype: str) -> Kernel:
    """Return the compiled kernel of a text, from disk where it has been compiled before."""
    name = f"{re.sub(chr(92) + 'W+', '_', title)}_{dtype}_{_digest(text, dtype)}"
    folder = _folder()
    whole = _HEAD.format(title=title, dtype=dtype) + text
    whole += _TAIL.format(signature=_SIGNATURE, cache=folder is not None)
    place = Path(folder or tempfile.mkdtemp()) / f"{name}.py"
    if not place.is_file():
        write_text(place, whole)
    if not any(place.parent.glob(f"__pycache__/{name}.*.nbi")):
        print(f"unrolled: compiling {title} for {dtype}, once", file=sys.stderr, flush=True)
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    kernel: Kernel = module.kernel
    return kernel


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
