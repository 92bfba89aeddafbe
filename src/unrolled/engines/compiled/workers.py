"""Threads that run a kernel's shares: one for each core but the first, which is the caller's own."""

import contextlib
import os
import threading
from collections.abc import Callable
from typing import Any

Task = Callable[[int], None]


class _Worker(threading.Thread):
    """Waits for a task, runs its own share of it, says that it is done, and waits again."""

    def __init__(self, share: int):
        super().__init__(name=f"unrolled-{share}", daemon=True)
        self.share, self.stopped = share, False
        self.wanted, self.done = threading.Lock(), threading.Lock()
        self.wanted.acquire()
        self.done.acquire()
        self.task: Task | None = None
        self.start()

    def run(self) -> None:
        while True:
            self.wanted.acquire()
            if self.stopped or self.task is None:
                return
            self.task(self.share)
            self.done.release()

    def stop(self) -> None:
        """Let it end, wherever it is; return when it has."""
        self.stopped = True
        with contextlib.suppress(RuntimeError):  # it was asked already, and has not begun
            self.wanted.release()
        self.join()


class _Workers:
    def __init__(self) -> None:
        self.workers: list[_Worker] = []
        self.busy = threading.Lock()

    def run(self, task: Task, shares: int, give_up: Callable[[], Any]) -> None:
        """Run every share of a task at the same time. Where that is interrupted, as by Ctrl-C, nobody
        knows who has begun: `give_up` frees those that wait for others, and all threads are let go.
        """
        with self.busy:
            while len(self.workers) < shares - 1:
                self.workers.append(_Worker(len(self.workers) + 1))
            try:
                for worker in self.workers[: shares - 1]:
                    worker.task = task
                    worker.wanted.release()
                task(0)
                for worker in self.workers[: shares - 1]:
                    worker.done.acquire()
            except BaseException:
                give_up()
                workers, self.workers = self.workers, []
                for worker in workers:
                    worker.stop()
                raise


_POOL = _Workers()


def run(task: Task, shares: int, give_up: Callable[[], Any]) -> None:
    """Run all shares of a task, the first in this thread; return when all are done."""
    if shares == 1:
        task(0)
    else:
        _POOL.run(task, shares, give_up)


def _after_fork() -> None:
    global _POOL
    _POOL = _Workers()  # threads are not there in a process that was forked


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
