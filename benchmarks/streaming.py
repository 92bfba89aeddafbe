"""Microseconds of one step of a stream, beside PyTorch's cells: `python benchmarks/streaming.py`.

One sequence, 27 inputs, 27 outputs through softmax; both keep the state from step to step, on one thread.
"""

import time

import numpy as np
import torch

import unrolled as un

CELLS = {"rnn": torch.nn.RNNCell, "gru_reset_after": torch.nn.GRUCell, "lstm": torch.nn.LSTMCell}
STEPS = 400


def ours(cell, n_a, dtype, engine):
    net = un.Network(cell, n_x=27, n_a=n_a, n_y=27, dtype=dtype, engine=engine)
    x, state = np.ones((27, 1), dtype), None

    def step():
        nonlocal state
        _, state = net.step(x, state)

    return step


def theirs(cell, n_a, dtype):
    kind = getattr(torch, dtype)
    module, linear = CELLS[cell](27, n_a, dtype=kind), torch.nn.Linear(n_a, 27, dtype=kind)
    x, state = torch.ones((1, 27), dtype=kind), None

    def step():
        nonlocal state
        state = module(x, state)
        return torch.softmax(linear(state[0] if cell == "lstm" else state), -1).numpy()

    return step


def median(step):
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return 1e6 * float(np.median(times[STEPS // 4 :]))


def main():
    torch.set_num_threads(1)
    print("| cell | n_a | dtype | compiled | numpy | PyTorch |\n|---|---|---|---|---|---|")
    for cell in CELLS:
        for n_a in (16, 100, 256):
            for dtype in ("float32", "float64"):
                with torch.no_grad():
                    timed = [ours(cell, n_a, dtype, "compiled"), ours(cell, n_a, dtype, "numpy"),
                             theirs(cell, n_a, dtype)]  # fmt: skip
                    found = " | ".join(f"{median(step):.0f}" for step in timed)
                print(f"| {cell} | {n_a} | {dtype} | {found} |")


if __name__ == "__main__":
    main()
