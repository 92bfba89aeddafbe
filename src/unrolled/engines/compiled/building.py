"""From the text of a kernel to machine code, which stays on disk: the next process finds it there.

A text goes into a file whose name has a digest of all that the machine code depends on: the text, this
folder's own files, the versions of the compiler, and the processor. So what has changed is never mistaken
for what is there.
"""

import contextlib
import functools
import hashlib
import importlib.util
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import llvmlite
import llvmlite.binding
import numba
from platformdirs import user_cache_path

from unrolled.engines.compiled.toolkit import SHARED
from unrolled.engines.compiled.vectors import target
from unrolled.files import write_text

_SEASON = 90 * 24 * 3600  # seconds
_KERNEL = '''"""{title}: written by unrolled.engines.compiled.source, and compiled."""

from numba import cfunc, types

from unrolled.engines.compiled.toolkit import toolkit

globals().update(toolkit("{dtype}", "{symbol}"))


{text}


places = types.CPointer(types.int64)
kernel = cfunc(types.void(places, places, types.int64, types.int64), cache={cache})(kernel)
'''
_CONDUCTOR = '''"""What conducts kernels, compiled."""

import numpy as np
from numba import njit

from unrolled.engines.compiled import cores, looking, totals
from unrolled.engines.compiled.vectors import pointer

whole = np.int64(0)


def compiled(signature):
    return njit(signature, nogil=True, cache={cache}, error_model="numpy")


@compiled("void(int64)")
def serve(box):
    cores.serve(pointer(box, whole))


@compiled("boolean(int64, int64, int64, int64)")
def hand_out(boxes, kernels, count, shares):
    return cores.hand_out(pointer(boxes, whole), kernels, count, shares)


@compiled("void(int64, int64, int64, int64)")
def first_share(boxes, kernels, count, shares):
    cores.run_all(kernels, count, 0, shares)
    cores.wait_for_all(pointer(boxes, whole), shares)


@compiled(["boolean(int64, int64, float32)", "boolean(int64, int64, float64)"])
def all_finite(arrays, count, nothing):
    return looking.all_finite(pointer(arrays, whole), count, pointer(arrays, nothing))


@compiled(["void(int64, int64, float32[::1])", "void(int64, int64, float64[::1])"])
def copy_out(rows, count, to):
    totals.copy_out(pointer(rows, whole), count, pointer(to.ctypes.data, to[0]))


@compiled([
    "int64(%s[%s])" % (kind, ", ".join(":" * axes))
    for kind in ("float32", "float64", "int64") for axes in (1, 2, 3)
])
def address(array):
    return array.ctypes.data


@compiled("int64()")
def own_core():
    return cores.own_core()


@compiled("void(int64, int64)")
def wait_for_all(boxes, shares):
    cores.wait_for_all(pointer(boxes, whole), shares)
'''
_SHARED = '''"""What kernels for {dtype} call, compiled."""

from numba import cfunc

from unrolled.engines.compiled.toolkit import shared, signature

'''
_ONE_SHARED = """
{name}_ = shared("{name}")


@cfunc(signature("{name}", "{dtype}"), cache={cache}, error_model="numpy", forceinline=True)
def {name}({given}):
    {name}_({given})

"""


@dataclass(frozen=True)
class Kernel:
    """A compiled kernel: where it is, and the module that it lives as long as."""

    address: int
    module: ModuleType


@functools.cache  # for every network there are new stages, and the same texts
def build(title: str, text: str, dtype: str) -> Kernel:
    """Return the compiled kernel of a text, from disk where it has been compiled before."""
    symbol, kept = _ready(dtype), _folder() is not None
    whole = _KERNEL.format(title=title, dtype=dtype, symbol=symbol, text=text, cache=kept)
    module = _load(f"{title} {dtype}", whole)
    return Kernel(module.kernel.address, module)


@functools.cache
def conductor() -> ModuleType:
    """Return the compiled functions that run kernels."""
    return _load("conductor", _CONDUCTOR.format(cache=_folder() is not None))


@functools.cache
def _ready(dtype: str) -> str:
    """Make what kernels call ready; return what the names end with under which it is to be found."""
    text, kept = _SHARED.format(dtype=dtype), _folder() is not None
    for name, given in SHARED.items():
        names = ", ".join(each.partition(":")[0] for each in given.split())
        text += _ONE_SHARED.format(name=name, dtype=dtype, given=names, cache=kept)
    module = _load(f"products {dtype}", text)
    symbol = f"{dtype}_{_digest('')}"
    for name in SHARED:
        llvmlite.binding.add_symbol(f"{name}_{symbol}", getattr(module, name).address)
    return symbol


def _load(title: str, text: str) -> ModuleType:
    """Write a text into its file, if it is not there, and import it, which compiles it or finds it."""
    name = f"{re.sub(chr(92) + 'W+', '_', title)}_{_digest(text)}"
    place = (_folder() or Path(tempfile.mkdtemp())) / f"{name}.py"
    if not place.is_file():
        write_text(place, text)
    code = list(place.parent.glob(f"__pycache__/{name}.*.nbc"))
    if not code:
        _say_once()
        _forget_old(place.parent)
    for path in code:
        with contextlib.suppress(OSError):
            os.utime(path)  # when it was used last
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _forget_old(folder: Path) -> None:
    """Remove what has not been used for a season: a cell that is being written leaves many kernels."""
    for text in folder.glob("*.py"):
        files = list(folder.glob(f"__pycache__/{text.stem}.*"))
        with contextlib.suppress(OSError):
            if max(path.stat().st_mtime for path in (text, *files)) < time.time() - _SEASON:
                for path in (*files, text):
                    path.unlink(missing_ok=True)


@functools.cache
def _say_once() -> None:
    text = "unrolled: compiling for this processor, which is done once and takes some seconds"
    print(text, file=sys.stderr, flush=True)


def _folder() -> Path | None:
    """Return the folder that compiled kernels are kept in, or None where none can be."""
    folder = user_cache_path("unrolled") / "kernels"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK) else None


def _digest(text: str) -> str:
    said = (text, _own_files(), numba.__version__, llvmlite.__version__, sys.version, *target())
    return hashlib.sha256("\0".join(said).encode()).hexdigest()[:16]


@functools.cache
def _own_files() -> str:
    """Return a digest of the files that are compiled into every kernel."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        found.update(path.read_bytes())
    return found.hexdigest()
