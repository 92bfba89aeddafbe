"""How much memory a process has, for systems on which a limit is not kept by the system itself."""

import contextlib
import ctypes
import subprocess
import sys

LIMITED = sys.platform == "linux"  # RLIMIT_AS is kept here; macOS takes it and does nothing


def resident_mb(pid: int) -> float:
    """Return the megabytes that a process has now; 0 where the system limits it, or cannot say."""
    if LIMITED:
        return 0.0
    return _windows(pid) if sys.platform == "win32" else by_ps(pid)


def by_ps(pid: int) -> float:
    """Return what `ps` says, in megabytes; 0 where it says nothing."""
    with contextlib.suppress(OSError, ValueError, subprocess.SubprocessError):
        done = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, timeout=2, check=False
        )
        return int(done.stdout) / 1024
    return 0.0


class _Counters(ctypes.Structure):
    """PROCESS_MEMORY_COUNTERS of Windows."""

    _fields_ = [
        ("cb", ctypes.c_ulong), ("faults", ctypes.c_ulong),
        *((name, ctypes.c_size_t) for name in (
            "peak_working_set", "working_set", "peak_paged_pool", "paged_pool",
            "peak_nonpaged_pool", "nonpaged_pool", "pagefile", "peak_pagefile",
        )),
    ]  # fmt: skip


def _windows(pid: int) -> float:
    kernel = getattr(ctypes, "windll").kernel32  # noqa: B009 - there on Windows only
    kernel.OpenProcess.restype = ctypes.c_void_p
    handle = ctypes.c_void_p(kernel.OpenProcess(0x1000, False, pid))  # limited information
    counters = _Counters(cb=ctypes.sizeof(_Counters))
    try:
        told = handle.value and kernel.K32GetProcessMemoryInfo(
            handle, ctypes.byref(counters), counters.cb
        )
        return counters.pagefile / 1e6 if told else 0.0
    finally:
        if handle.value:
            kernel.CloseHandle(handle)
