"""What networks learn, beside what is published or what another model reaches on the same data:
`python benchmarks/learning.py`. Prints the tables of docs/learning.md; takes ten minutes on one core.
"""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

import unrolled as un
from unrolled.data.baselines import ngram_loss
from unrolled.data.surnames import surnames
from unrolled.data.windows import split_off
from unrolled.training.tasks.text import Text

SEEDS = range(3)


def trained(name, cell, n_a, rate, seed, bias=None, data=None, dtype="float32", **options):
    """Train on what is not held back alone; return measures, references, and seconds."""
    data = data or un.load_data(name, seed=seed, **options.pop("load", {}))
    net = data.network(cell, n_a, dtype=dtype, seed=seed)
    for parameter, value in (bias or {}).items():
        net.parameters[parameter][:] = value
    start = time.perf_counter()
    history = un.train(net, data.training, optimiser=un.Adam(rate), seed=seed, **options)
    seconds = time.perf_counter() - start
    return data.task.measures(net, data.validation), data.references, seconds, history


def row(*cells):
    print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def head(*cells):
    print()
    row(*cells)
    row(*["---"] * len(cells))


def several(runs, measure, digits=4):
    return ", ".join(f"{run[0][measure]:.{digits}g}" for run in runs)


def adding():
    head("T", "cell", "updates", "mean squared error", "seconds")
    for T, cell, rate in ((100, "lstm", 0.02), (100, "gru", 0.01), (200, "lstm", 0.02), (200, "gru", 0.01),
                          (100, "rnn", 0.001), (100, "rnn", 0.01)):  # fmt: skip
        runs = [trained("adding", cell, 32, rate, s, steps=2000, load={"length": T}) for s in SEEDS]
        row(T, f"{cell}, Adam {rate:g}", 2000, several(runs, "mse", 2), f"{runs[0][2]:.0f}")


def copying():
    head("T", "cell", "updates", "cross-entropy", "without memory", "seconds")
    for T, cell, rate, bias, steps in (
        (10, "gru", 0.01, {"b_u": -2.0}, 2500), (20, "gru", 0.01, {"b_u": -2.0}, 2500),
        (10, "lstm", 0.007, {"b_f": 3.0}, 3000), (10, "rnn", 0.001, None, 2500),
    ):  # fmt: skip
        runs = [trained("copying", cell, 128, rate, s, bias, steps=steps, schedule="cosine",
                        load={"length": T}) for s in SEEDS]  # fmt: skip
        blind = runs[0][1]["one without memory"]["loss"]
        start = "".join(f", {name} = {value:g}" for name, value in (bias or {}).items())
        row(T, f"{cell}, Adam {rate:g}{start}", steps, several(runs, "loss", 2), f"{blind:.3f}",
            f"{runs[0][2]:.0f}")  # fmt: skip


def digits():
    head(
        "model",
        "accuracy on the held-out fifth, ten splits: mean",
        "lowest",
        "highest",
        "above linear",
    )
    found = {"linear": [], "gru": [], "lstm": [], "rnn": []}
    for seed in range(10):
        data = un.load_data("digits", seed=seed)
        X, Y = (
            np.concatenate([getattr(s, n) for s in (data.training, data.validation)]) for n in "XY"
        )
        X, count = X.reshape(len(Y), 64), len(data.training)
        search = GridSearchCV(
            LogisticRegression(max_iter=10_000), {"C": [0.1, 0.3, 1, 3, 10, 30]}, cv=5
        )
        found["linear"].append(search.fit(X[:count], Y[:count]).score(X[count:], Y[count:]))
        for cell, rate, epochs in (("gru", 0.01, 20), ("lstm", 0.01, 20), ("rnn", 0.003, 40)):
            run = trained(
                "digits", cell, 64, rate, seed, data=data, epochs=epochs, schedule="cosine"
            )
            found[cell].append(run[0]["accuracy"])
    linear = np.array(found["linear"])
    for name, each in found.items():
        above = f"{int((np.array(each) > linear).sum())} of 10" if name != "linear" else ""
        row(name, f"{np.mean(each):.4f}", f"{min(each):.4f}", f"{max(each):.4f}", above)


def names():
    head("model", "perplexity on held-back lines", "seconds")
    for order in (2, 3, 4, 5):
        row(f"{order}-gram", f"{np.exp(_ngram(order)):.3f}", "")
    for cell, n_a, rate, steps in (("rnn", 64, 0.003, 1500), ("gru", 64, 0.01, 1000),
                                   ("lstm", 128, 0.006, 2000), ("gru", 128, 0.005, 4000)):  # fmt: skip
        runs = [trained("names", cell, n_a, rate, s, steps=steps, schedule="cosine",
                        data=un.load_data("names")) for s in SEEDS]  # fmt: skip
        row(
            f"{cell}, n_a = {n_a}, {steps} updates",
            several(runs, "perplexity"),
            f"{runs[0][2]:.0f}",
        )


def _ngram(order):
    """Witten-Bell, on the lines that `load_data("names")` holds back."""
    lines = surnames()
    kept, held = split_off(len(lines), 0.1, 0)
    task = Text.of("\n".join(lines), names=True)
    rows = [_histories(task, [lines[k] for k in chosen], order) for chosen in (kept, held)]
    return ngram_loss(*rows, len(task.vocabulary), order)


def _histories(task, lines, order):
    pad = "\n" * (order - 1)
    labels = task.vocabulary.encode(pad + f"\n{pad[1:]}".join(lines) + "\n").astype(np.int64)
    windows = np.lib.stride_tricks.sliding_window_view(labels, order)
    newline = task.vocabulary.encode("\n")[0]
    padding = (windows[:, -1] == newline) & (windows[:, -2] == newline)
    return windows[~padding]


def sunspots():
    head("model", "root mean squared error, years from 1948", "seconds")
    data = un.load_data("sunspots")
    for name, measures in data.references.items():
        row(name, f"{measures['rmse']:.2f}", "")
    for cell in ("gru", "lstm", "rnn"):
        runs = [trained("sunspots", cell, 16, 0.01, s, data=data, dtype="float64", steps=300,
                        schedule="cosine") for s in range(10)]  # fmt: skip
        each = [run[0]["rmse"] for run in runs]
        row(f"{cell}, ten seeds", f"mean {np.mean(each):.2f}, {min(each):.2f} to {max(each):.2f}",
            f"{runs[0][2]:.1f}")  # fmt: skip


if __name__ == "__main__":
    for part in (adding, copying, digits, names, sunspots):
        part()
