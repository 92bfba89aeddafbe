"""On what it was timed: processor, threads, versions, and how NumPy multiplies."""

import importlib
import os
import platform
import subprocess
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

import unrolled
from unrolled.threads import blas_pool, cores

_CORETYPE = "OPENBLAS_CORETYPE"
_WITH_AVX512 = ("skylakex", "cooperlake", "sapphirerapids")  # OpenBLAS's names for such processors


def describe(threads: int, versions: dict[str, str]) -> dict[str, Any]:
    """Return the machine and what runs on it, for a reader to judge figures by.

    `versions` are those of the peers by title.
    """
    return {
        "date": time.strftime("%Y-%m-%d"),
        "processor": processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "threads": threads,
        "versions": {
            "unrolled": unrolled.__version__, "Python": platform.python_version(),
            "NumPy": np.__version__, **versions,
        },
        "blas": blas(),
    }  # fmt: skip


def processor() -> str:
    """Return the processor's name as the system gives it."""
    if name := _cpuinfo("model name"):
        return name
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()
        if said:
            return said
    return platform.processor() or platform.machine()


def blas() -> dict[str, str]:
    """Return name, version and, where it says so, architecture of what multiplies for NumPy."""
    config: Any = importlib.import_module("numpy").show_config(mode="dicts")
    built = config.get("Build Dependencies", {}).get("blas", {})
    pool = blas_pool()
    found = {"name": built.get("name") or pool.get("internal_api") or "unknown",
             "version": pool.get("version") or built.get("version") or "",
             "architecture": pool.get("architecture") or ""}  # fmt: skip
    return {name: str(value) for name, value in found.items()}


def coretype_remark(
    flags: Collection[str], architecture: str, setting: str | None = None
) -> str | None:
    """Return a remark where OpenBLAS takes an AVX-512 processor for an older one, else None.

    Args:
        flags: of the processor, as Linux lists them; empty where they are not known.
        architecture: OpenBLAS's name for the processor it computes for; "" for another library.
        setting: what the user has set in OPENBLAS_CORETYPE, which is left alone.
    """
    if "avx512f" not in flags or not architecture or architecture.lower() in _WITH_AVX512:
        return None
    said = f"OpenBLAS computes for {architecture}, though this processor has AVX-512"
    if setting:
        return f"{said}: {_CORETYPE}={setting} is set, and is left as it is."
    return (
        f"{said}: its products may run at half their speed. {_CORETYPE}=SkylakeX, set before the "
        "start, may help; nothing is set for you."
    )


def remark_here() -> str | None:
    """Return the remark for this machine."""
    pool = blas_pool()
    architecture = pool.get("architecture", "") if pool.get("internal_api") == "openblas" else ""
    return coretype_remark(_cpuinfo("flags").split(), architecture, os.environ.get(_CORETYPE))


def _cpuinfo(key: str) -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = (line.partition(":") for line in text.splitlines())
    return next((value.strip() for name, _, value in lines if name.strip() == key), "")
