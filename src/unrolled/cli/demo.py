"""`unrolled demo`: trains on real surnames, shows what it does, and proves its gradients."""

import contextlib
import functools
import math
import platform
import signal
import textwrap
import time
from collections.abc import Iterator
from typing import Any

import click
import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits

import unrolled
from unrolled.cli import options
from unrolled.cli.output import exit_status, say
from unrolled.data.surnames import surnames
from unrolled.data.text import Vocabulary, stream_windows
from unrolled.errors import UnrolledError
from unrolled.gradients.check import gradient_check
from unrolled.network import Network
from unrolled.training.loop import Metrics, train
from unrolled.training.optimisers import Adam
from unrolled.training.run_folder import RunFolder, running_mean
from unrolled.training.sampling import sample

_M, _T, _CLIP = 64, 20, 1.0


@click.command()
@click.option(
    "--cell", default="lstm", show_default=True, help="A name, or the path of a cell file."
)
@click.option(
    "--hidden",
    type=click.IntRange(1, options.LARGEST),
    default=128,
    show_default=True,
    help="Hidden units n_a.",
)
@click.option(
    "--learning-rate", "rate", type=click.FloatRange(0, min_open=True), default=0.004,
    show_default=True, help="Of Adam.",
)  # fmt: skip
@click.option("--steps", type=click.IntRange(1), default=2000, show_default=True, help="Updates.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn."
)
@click.option("--out", type=click.Path(), help="The run folder.  [default: runs/demo-DATE-TIME]")
def command(
    cell: str, hidden: int, rate: float, steps: int, seed: int, out: str | None
) -> int:  # fmt: skip
    """Train a character-level network on United States surnames, and prove its gradients.

    Takes about half a minute. Ctrl-C stops the training early and keeps what was learned.

    Example: unrolled demo --cell gru --steps 1000
    """
    with threadpool_limits(limits=1):  # at these sizes a second thread costs more than it gains
        return _demo(cell, hidden, rate, steps, seed, out)


def _demo(cell: str, hidden: int, rate: float, steps: int, seed: int, out: str | None) -> int:
    text, held_back, count = _texts(seed)
    vocabulary = Vocabulary(text)
    n = len(vocabulary)
    net = Network(cell, n_x=n, n_a=hidden, n_y=n, dtype="float32", seed=seed)
    folder = RunFolder(out) if out else RunFolder.named_by_time("demo")
    settings = {
        "unrolled": unrolled.__version__, "python": platform.python_version(),
        "numpy": np.__version__, "network": net.settings, "characters": vocabulary.characters,
        "data": "surnames of the 1990 United States census, from the package names",
        "m": _M, "T": _T, "optimiser": "adam", "learning_rate": rate, "clip": _CLIP,
        "steps": steps, "seed": seed,
    }  # fmt: skip
    folder.write_json("settings.json", settings)
    say(_introduction(net, count, steps, rate))
    prefix = text[-50:]  # some names, so that it starts from a state as in training
    write = functools.partial(sample, net, vocabulary, 10, prefix, temperature=0.8, seed=seed)
    before = write()
    say(f"\nBefore training it writes:\n  {_listed(before)}\n")

    metrics = _train(net, vocabulary.encode(text), steps, rate, folder)
    try:
        after = write()
        say(f"After {len(metrics)} updates it writes:\n  {_listed(after)}\n")
        folder.write_samples({"before training": before, f"after {len(metrics)} updates": after})
        return _result(net, metrics, vocabulary.encode(held_back), seed, folder)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"stopped; the trained model is in {folder.path}") from None


def _result(
    net: Network, metrics: list[Metrics], held_back: Any, seed: int, folder: RunFolder
) -> int:
    """Say what was learned, prove the gradients, and say where it all is."""
    n, last = net.sizes["n_y"], running_mean([m.loss for m in metrics])[-1]
    loss, state = _held_back_loss(net, held_back)
    folder.write_curve(metrics, math.log(n), loss)
    say(
        f"Loss per character: {math.log(n):.3f} = log {n} by chance, {last:.3f} at the end of training,\n"
        f"{loss:.3f} on names held back: as unsure as a choice among {math.exp(loss):.1f} equally\n"
        f"likely characters, not {n}. {sum(m.seconds for m in metrics):.0f} s of training.\n\n"
        "Is it right? The gradients of this very network, on a float64 copy of it:\n"
    )
    X, Y, _ = next(stream_windows(held_back, 8, 12))
    report = gradient_check(net, X, Y, state, entries=6, directions=3, seed=seed)
    folder.write_json("gradcheck.json", report.to_dict())
    say(repr(report))
    files = _listed(sorted(path.name for path in folder.path.iterdir()))
    say(f"\nThe run is in {folder.path}\n  {files}")
    return exit_status(report.verdict)


def _texts(seed: int) -> tuple[str, str, int]:
    """Return the text to train on and a twentieth held back, one name a line, and the count."""
    names = surnames()
    np.random.default_rng(seed).shuffle(names)
    cut = len(names) // 20
    return "\n".join(["", *names[cut:], ""]), "\n".join(["", *names[:cut], ""]), len(names)


def _introduction(net: Network, count: int, steps: int, rate: float) -> str:
    n = net.sizes["n_x"]
    parameters = sum(value.size for value in net.parameters.values())
    return "\n".join([
        f"data      {count:,} surnames of the 1990 United States census,",
        f"          {n} different characters, 1 name in 20 held back",
        f"network   {net.step.cell.name}, {n} → {net.sizes['n_a']} → {n}, {parameters:,} parameters",
        f"training  {steps} updates on windows of {_M} × {_T} characters, the state carried from",
        f"          window to window, Adam at {rate:g}, gradients clipped at norm {_CLIP:g}",
    ])  # fmt: skip


def _train(
    net: Network, labels: Any, steps: int, rate: float, folder: RunFolder
) -> list[Metrics]:  # fmt: skip
    """Train and save; Ctrl-C finishes the update that is running, and saves too."""
    metrics: list[Metrics] = []
    with _stop_asked() as stop:
        try:
            _update(net, labels, steps, rate, metrics, stop)
        except UnrolledError as error:
            raise UnrolledError(f"{error}; what was learned before is in {folder.path}") from None
        finally:
            folder.write_model(net)
            folder.write_metrics(metrics)
    if len(metrics) < steps:
        say(f"Stopped after {len(metrics)} of {steps} updates; what was learned is kept.\n")
    return metrics


def _update(
    net: Network, labels: Any, steps: int, rate: float, metrics: list[Metrics], stop: list[bool]
) -> None:
    """Update the network with a progress line, until it is done or asked to stop."""
    with _progress() as progress:
        task = progress.add_task("", total=steps, loss="…", norm="…", speed="…")
        start = time.perf_counter()
        for row in train(net, stream_windows(labels, _M, _T), Adam(rate), _CLIP):
            metrics.append(row)
            speed = row.targets * len(metrics) / (time.perf_counter() - start) / 1000
            loss = running_mean([m.loss for m in metrics[-200:]])[-1]
            progress.update(
                task, advance=1, loss=f"{loss:.3f}", norm=f"{row.gradient_norm:.2f}",
                speed=f"{speed:.0f}",
            )  # fmt: skip
            if row.step >= steps or stop:
                break


def _progress() -> Progress:
    return Progress(
        BarColumn(bar_width=10), TextColumn("{task.completed}/{task.total}"),
        TextColumn("loss {task.fields[loss]}  gradient norm {task.fields[norm]}"),
        TextColumn("{task.fields[speed]}k char/s  left"), TimeRemainingColumn(compact=True),
    )  # fmt: skip


@contextlib.contextmanager
def _stop_asked() -> Iterator[list[bool]]:
    """Give a list that fills at Ctrl-C, which interrupts nothing here: an update takes milliseconds."""
    asked: list[bool] = []
    usual = signal.signal(signal.SIGINT, lambda *_: asked.append(True))
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, usual)


def _held_back_loss(net: Network, labels: Any) -> tuple[float, dict[str, Any]]:
    """Return the mean loss per character on text that was not trained on, and a state on the way."""
    losses: list[float] = []
    state = None
    for X, Y, fresh in stream_windows(labels, 8, 50):
        if fresh and losses:
            break
        losses.append(net.loss(X, Y, state))
        state = net.forward(X, state).state
    assert state is not None
    return float(np.mean(losses)), state


def _listed(names: list[str]) -> str:
    return "\n  ".join(textwrap.wrap(", ".join(filter(None, names)), 76))
