"""The engine beside NumPy written by hand: what does it cost that the program comes from equations?

Run: python benchmarks/overhead.py [--engine NAME]. It prints milliseconds of both and their ratio for
some sizes, after their loss and gradients were compared; the aim is a ratio of at most 1.1.
"""

import argparse
import itertools
import math
import sys

from handwritten import LSTM, RNN
from threadpoolctl import threadpool_limits

from unrolled.benchmark.cases import Case, Problem
from unrolled.benchmark.contenders import Contender, ours
from unrolled.benchmark.measuring import Row, compare
from unrolled.engines import engine_names
from unrolled.notation import columns

SHAPES = [(16, 16, 4, 1, 1000), (27, 100, 27, 1, 30), (27, 100, 27, 32, 50), (64, 128, 64, 32, 100)]
CELLS = {"rnn": RNN, "lstm": LSTM}
HAND = "by hand"


def measure(case: Case, engine: str, seconds: float) -> Row:
    """Time an engine and the hand-written one in turns, without pauses: they share their threads."""
    problem = Problem(case)
    by_hand = CELLS[case.cell](problem.parameters, case.m, case.T)
    contender = Contender(
        HAND, lambda: by_hand.loss_and_gradients(problem.X, problem.Y), lambda answer: answer
    )
    return compare(problem, [contender, ours(problem, engine)], seconds, pause=0)


def line(row: Row) -> list[str]:
    """Return the cells of one case in the table: ratios above 1 are what the engine costs."""
    by_hand, engine = row.entries
    if not (by_hand.timing and engine.timing):
        return [str(row.case), "they compute different things", "", ""]
    milliseconds = [f"{entry.timing.milliseconds:.3f}" for entry in row.entries]
    return [str(row.case), *milliseconds, f"{row.ratio(engine.name):.2f}"]


def main() -> int:
    """Measure, print, and return 1 where the results differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", default="auto", choices=["auto", *engine_names()])
    parser.add_argument("--seconds", type=float, default=1.0, help="for a case (1)")
    parser.add_argument("--threads", type=int, default=1, help="of products (1)")
    given = parser.parse_args()
    rows = []
    with threadpool_limits(given.threads):
        for cell, dtype, shape in itertools.product(CELLS, ("float64", "float32"), SHAPES):
            rows.append(measure(Case(cell, *shape, dtype), given.engine, given.seconds))
    ratios = [ratio for row in rows if (ratio := row.ratio(row.entries[1].name))]
    head = ["case (n_x, n_a, n_y, m, T)", f"{HAND} ms", f"{rows[0].entries[1].name} ms", "ratio"]
    print("\n".join(columns([head, *map(line, rows)])))
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"geometric mean {mean:.2f}, largest {max(ratios):.2f}")
    return int(len(ratios) < len(rows))


if __name__ == "__main__":
    sys.exit(main())
