"""Runs kernels: their first share in the caller's thread, the others in threads that wait for them."""

import os
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from unrolled.engines.compiled.building import conductor
from unrolled.engines.compiled.cores import AWAKE, BOX
from unrolled.threads import MOST_SHARES

Array = Any


class _Workers:
    """Threads, one for each core but the first, and their boxes."""

    def __init__(self) -> None:
        self.boxes = np.zeros((MOST_SHARES, BOX), np.int64)
        self.address = int(self.boxes.ctypes.data)
        self.wanted: list[threading.Semaphore] = []
        self.threads: list[threading.Thread] = []
        self.busy = threading.Lock()

    def run(self, kernels: int, counters: Sequence[Array], shares: int) -> None:
        """Run every share of some kernels at the same time.

        Where that is interrupted, as by Ctrl-C, those who wait for others at a counter are let go, and
        waited for: they write to memory that is not theirs.
        """
        do = conductor()
        with self.busy:
            while len(self.wanted) < shares - 1:
                self._hire()
            try:
                if do.hand_out(self.address, kernels, len(counters), shares):
                    self._wake(shares)
                do.first_share(self.address, kernels, len(counters), shares)
            except BaseException:
                for counter in counters:
                    counter[:] = 1 << 40
                self._wake(shares)
                do.wait_for_all(self.address, shares)
                raise

    def _hire(self) -> None:
        number = len(self.wanted)
        self.wanted.append(threading.Semaphore(0))
        work = threading.Thread(target=self._work, args=(number,), name="unrolled", daemon=True)
        work.start()
        self.threads.append(work)

    def _work(self, number: int) -> None:
        serve, box = conductor().serve, self.address + number * BOX * 8
        while True:
            self.wanted[number].acquire()
            self.boxes[number, AWAKE] = 1
            serve(box)

    def _wake(self, shares: int) -> None:
        """Wake those who are asleep; to be woken for nothing does no harm."""
        away = _cores_but_this()
        for wanted, thread, box in zip(
            self.wanted[: shares - 1], self.threads, self.boxes, strict=False
        ):
            if not box[AWAKE]:
                if away and thread.native_id:
                    os.sched_setaffinity(thread.native_id, away)
                wanted.release()


def _cores_but_this() -> set[int]:
    """Return the cores that this process may use but the one that the caller runs on, where the system says:
    a thread that is woken on the caller's core would wait there for milliseconds.
    """
    if not hasattr(os, "sched_setaffinity"):
        return set()
    return os.sched_getaffinity(0) - {conductor().own_core()}


_WORKERS = _Workers()


def address_of(array: Array) -> int:
    """Return where an array's numbers are; what NumPy says takes five times as long."""
    known = array.flags.writeable and array.dtype.char in "fdl" and array.ndim < 4
    return int(conductor().address(array) if known else array.__array_interface__["data"][0])


def run_kernels(kernels: Array, counters: Sequence[Array], shares: int) -> None:
    """Run kernels one after the other in so many shares: a share does not wait for others between two.

    `kernels` (3 · count,) has for each its address and where its addresses and its numbers are; `counters`
    are those at which shares meet, one for each kernel, and are 0.
    """
    where = address_of(kernels)
    if shares == 1:
        conductor().first_share(0, where, len(counters), 1)
    else:
        _WORKERS.run(where, counters, shares)


def _after_fork() -> None:
    global _WORKERS
    _WORKERS = _Workers()  # threads are not there in a process that was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
