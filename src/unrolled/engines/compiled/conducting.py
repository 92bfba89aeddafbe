"""Runs a kernel: its first share in the caller's thread, the others in threads that wait for them."""

import os
import threading
from typing import Any

import numpy as np

from unrolled.engines.compiled.building import conductor
from unrolled.engines.compiled.cores import AWAKE, BOX

Array = Any


class _Workers:
    """Threads, one for each core but the first, and their boxes."""

    def __init__(self, most: int = 256):
        self.boxes = np.zeros((most, BOX), np.int64)
        self.address = int(self.boxes.ctypes.data)
        self.wanted: list[threading.Semaphore] = []
        self.threads: list[threading.Thread] = []
        self.busy = threading.Lock()

    def run(self, kernel: int, addresses: int, numbers: int, shares: int, counter: Array) -> None:
        """Run every share of a kernel at the same time.

        Where that is interrupted, as by Ctrl-C, those who wait for others at `counter` are let go, and
        waited for: they write to memory that is not theirs.
        """
        do = conductor()
        with self.busy:
            while len(self.wanted) < shares - 1:
                self._hire()
            try:
                if do.hand_out(self.address, kernel, addresses, numbers, shares):
                    self._wake(shares)
                do.first_share(self.address, kernel, addresses, numbers, shares)
            except BaseException:
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


def run_kernel(kernel: int, tables: tuple[int, int], shares: int, counter: Array) -> None:
    """Run a kernel in so many shares; `tables` says where its addresses and its numbers are."""
    if shares == 1:
        conductor().alone(kernel, *tables)
    else:
        _WORKERS.run(kernel, *tables, shares, counter)


def _after_fork() -> None:
    global _WORKERS
    _WORKERS = _Workers()  # threads are not there in a process that was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
