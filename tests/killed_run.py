"""Trains into a folder in processes that are killed at random moments, each going on where the last
one was: `python killed_run.py FOLDER SEED`. Prints how many were killed.

A moment is before, in the middle of, or after a call that changes what is on the disk.
"""

import builtins
import os
import signal
import sys
from pathlib import Path

import numpy as np

import unrolled as un

STEPS = 40


def data():
    lines = ["anna", "bob", "cyril", "dorothea", "el", "f" * 30, "gustav", "hanna", "ivo", "jo"] * 3
    return un.training.tasks.text.text_dataset("\n".join(lines), True, 4, 7, 0.2, 0, "")


def train(folder, resume=False):
    source = data()
    net = source.network("lstm", 5, layers=2, dropout=0.3, dtype="float32", seed=2)
    return un.train(net, source, steps=STEPS, every=6, optimiser=un.Adam(0.03), schedule="cosine",
                    seed=5, out=folder, resume=resume, save_every=0)  # fmt: skip


def kill_at(moment):
    """Let this process die at the given one of the moments to come."""
    left = [moment]

    def tick():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(function):
        def call(*arguments, **named):
            tick()
            result = function(*arguments, **named)
            tick()
            return result

        return call

    for name in ("replace", "fsync", "rename", "mkdir", "unlink"):
        setattr(os, name, watched(getattr(os, name)))
    usual = builtins.open

    def opened(file, mode="r", *arguments, **named):
        handle = usual(file, mode, *arguments, **named)
        if "w" in mode or "a" in mode:
            return Halves(handle, tick)
        return handle

    builtins.open = opened


class Halves:
    """A file that writes in two halves, between which the process may die."""

    def __init__(self, file, tick):
        self.file, self.tick = file, tick

    def write(self, content):
        half = len(content) // 2
        self.tick()
        self.file.write(content[:half])
        self.file.flush()
        self.tick()
        return half + self.file.write(content[half:])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def __getattr__(self, name):
        return getattr(self.file, name)


def main(folder, seed):
    random, kills = np.random.default_rng(seed), 0
    train(folder / "warm-up")  # so that each child has everything imported
    folder /= "run"
    while True:
        child = os.fork()
        if not child:
            kill_at(int(random.integers(1, 60)) if kills < 60 else 10**9)
            train(folder, resume=(folder / "settings.json").exists())
            os._exit(0)
        status = os.waitpid(child, 0)[1]
        random.random()
        if os.WIFSIGNALED(status):
            kills += 1
        elif os.WEXITSTATUS(status) == 0:
            break
        else:
            sys.exit("a child failed")
    print(kills)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
