"""How much of a training's time is spent in the engine: `python benchmarks/training_time.py`.

One epoch each, held-back data and all that is looked at included. The passes are forward and backward
through layers, output layer and loss, and of them the kernels; the rest is the order of the data, their
windows, checks of what goes in, clipping, the optimiser, and what is measured.
"""

import time

import unrolled as un
from unrolled.engines.compiled import run as engine
from unrolled.unrolling import Unrolled

CASES = [
    ("names", "rnn", 100), ("names", "gru", 100), ("names", "lstm", 100), ("names", "lstm", 256),
    ("digits", "rnn", 100), ("digits", "gru", 100), ("digits", "lstm", 100),
    ("adding", "rnn", 100), ("adding", "lstm", 100),
]  # fmt: skip


class Clock:
    """Adds up the seconds that are spent in functions."""

    def __init__(self):
        self.seconds, self.depth = 0.0, 0

    def watching(self, function):
        def watched(*arguments, **options):
            start = time.perf_counter()
            self.depth += 1
            try:
                return function(*arguments, **options)
            finally:
                self.depth -= 1
                self.seconds += time.perf_counter() - start

        return watched

    def watching_outside(self, function):
        """The same, where nothing that is watched is going on already."""
        watched = self.watching(function)
        return lambda *a, **o: (function if self.depth else watched)(*a, **o)


def main():
    kernels, passes = Clock(), Clock()
    engine.run_kernels = kernels.watching(engine.run_kernels)
    un.Network.run_batch = passes.watching(un.Network.run_batch)
    Unrolled._forward = passes.watching_outside(Unrolled._forward)
    print("data      cell  n_a  updates  seconds  in the passes  of that in kernels")
    for name, cell, n_a in CASES:
        data = un.load_data(name)
        net = data.network(cell, n_a, dtype="float32")
        un.train(net, data, steps=5)  # so that kernels are compiled and buffers made
        kernels.seconds = passes.seconds = 0.0
        start = time.perf_counter()
        un.train(net, data, epochs=1)
        passed = time.perf_counter() - start
        shares = f"{passes.seconds / passed:>13.1%}  {kernels.seconds / passed:>18.1%}"
        print(
            f"{name:<8}  {cell:<4}  {n_a:>3}  {data.training.updates:>7}  {passed:>7.2f}  {shares}"
        )


if __name__ == "__main__":
    main()
