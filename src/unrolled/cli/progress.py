"""The line that a training shows on a terminal, and the lines that programs read."""

import collections
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from unrolled.cli.output import say
from unrolled.network import Network
from unrolled.training.loop import Training, Update
from unrolled.training.optimisers import SGD, Adam
from unrolled.training.plan import Plan
from unrolled.training.tasks import Dataset, Task
from unrolled.training.train import History

_WIDE = 110  # columns of a terminal that has room for a bar and two blanks between figures
_LAST = 100  # updates that loss, clipped share and speed are those of


def introduction(data: Dataset, net: Network, optimiser: SGD | Adam, plan: Plan) -> list[str]:
    """Say what is trained, on what, how."""
    sizes, layers = net.sizes, net.architecture.layers
    count = sum(value.size for value in net.parameters.values())
    ends = {"updates": plan.steps, "epochs": plan.epochs, "seconds": plan.seconds}
    said = " or ".join(f"{number:g} {what}" for what, number in ends.items() if number)
    schedule = "" if plan.schedule == "constant" else f", {plan.schedule} to 0"
    clip = f", gradients clipped at norm {plan.clip_norm:g}" if plan.clip_norm else ""
    first, *more = data.facts
    return [
        f"data      {first}", *(f"          {fact}" for fact in more),
        f"network   {net.architecture.step.cell.name}, {sizes['n_x']} → {sizes['n_a']} → {sizes['n_y']}, "
        f"{f'{layers} layers, ' * (layers > 1)}{count:,} parameters",
        f"training  {said}, {optimiser.settings['name']} at {optimiser.learning_rate:g}{schedule}{clip}",
    ]  # fmt: skip


class TrainingLine:
    """A callback of `train` that shows where the training is, and a fresh sample now and then, on
    standard error; nothing where that is no terminal. To be used in a `with`.
    """

    def __init__(self, unit: str):
        self.unit = unit
        self.console = Console(stderr=True, highlight=False)
        self._last: collections.deque[Update] = collections.deque(maxlen=_LAST)
        self._shown, self._held_back, self._samples = 0.0, "", 0
        self._wide = self.console.width >= _WIDE
        bar = [BarColumn(bar_width=10)] if self._wide else []
        self._progress = Progress(
            *bar, TextColumn("{task.fields[text]}"), TextColumn("left"),
            TimeRemainingColumn(compact=True), console=self.console,
        )  # fmt: skip
        self._task: Any = None

    def __enter__(self) -> "TrainingLine":
        if self.console.is_terminal:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:  # it would print an empty line
            self._progress.stop()

    def begin(self, folder: Path, lines: Sequence[str]) -> None:
        """Say what is trained, on what, how."""
        say("\n".join(lines) + "\n")

    def end(self, folder: Path, history: History, net: Network, task: Task) -> None:
        """Say what came of it, what it beats, and what can be done with it."""
        last = history.updates[-1] if history.updates else None
        if last:
            kept = f", kept is that of update {history.best_step}" if history.best_step else ""
            say(f"{last.step} updates in {last.seconds:.1f} s, ended by {history.ended_by}{kept}.")
        else:
            say(f"All of it was done already, ended by {history.ended_by}; more with --steps.")
        if history.measures:
            listed = ", ".join(f"{name} {value:.4g}" for name, value in history.measures.items())
            say(f"On what was held back: {listed}.")
        say("".join(f"  {line}\n" for line in history.verdict))
        texts = task.write(net)
        if texts:
            say("It writes:\n" + "".join(f"  {line}\n" for t in texts for line in t.split("\n")))
        sampled = f"  unrolled sample {folder}\n" if texts else ""
        say(
            f"The run is in {folder}, with all of it on a page, report.html.\n{sampled}"
            f"  unrolled evaluate {folder} FILE"
        )

    def __call__(self, update: Update, training: Training) -> None:
        """Take note of an update, and show it where the last one shown was a moment ago."""
        self._last.append(update)
        if not self.console.is_terminal:
            return
        if update.validation_loss is not None:
            self._held_back = f"held back {update.validation_loss:.3f}"
        self._show_sample(training)
        if time.perf_counter() - self._shown > 0.1 or training.ended_by:
            self._show(update, training)

    def _show(self, update: Update, training: Training) -> None:
        self._shown = time.perf_counter()
        total, done = _extent(update, training)
        if self._task is None:
            self._task = self._progress.add_task("", total=total, text="")
        self._progress.update(self._task, completed=done, text=self._text(update, training))

    def _text(self, update: Update, training: Training) -> str:
        rows = self._last
        loss = sum(row.loss for row in rows) / len(rows)
        clipped = sum(row.clipped for row in rows) / len(rows)
        total = training.last_step
        of = f"/{total}" if total else ""
        name = "gradient norm" if self._wide else "norm"
        parts = [
            f"{update.step}{of}", f"loss {loss:.3f}", self._held_back,
            f"{name} {update.gradient_norm:.2f}", f"{clipped:.0%} clipped" if clipped else "",
            self._speed(),
        ]  # fmt: skip
        return ("  " if self._wide else " ").join(filter(None, parts))

    def _speed(self) -> str:
        """Targets in a second."""
        first, last = self._last[0], self._last[-1]
        passed = last.seconds - first.seconds
        if not passed:
            return ""
        speed = sum(row.targets for row in list(self._last)[1:]) / passed
        number = f"{speed / 1000:.0f}k" if speed >= 10_000 else f"{speed:.0f}"
        return f"{number} {self.unit}/s"

    def _show_sample(self, training: Training) -> None:
        samples = training.place.samples
        if len(samples) > self._samples:
            self._samples, newest = len(samples), samples[-1]
            text = ", ".join(" ".join(text.split()) for text in newest["texts"])[:60]
            if text:
                self.console.print(Text(f"after {newest['step']:>5}: {text}", style="dim"))


def _extent(update: Update, training: Training) -> tuple[float | None, float]:
    """Return how far it goes and how far it is, in updates, or in seconds where time ends it."""
    if training.last_step:
        return training.last_step, update.step
    return training.plan.seconds, update.seconds


class JsonLines:
    """A callback of `train` that prints a line of JSON for each update and each sample."""

    def __init__(self) -> None:
        self._samples = 0

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def begin(self, folder: Path, lines: Sequence[str]) -> None:
        """Print where the run is."""
        say_json("begin", {"run": str(folder)})

    def end(self, folder: Path, history: History, net: Network, task: Task) -> None:
        """Print what came of it."""
        say_json("end", {
            "run": str(folder), "ended_by": history.ended_by, "best_step": history.best_step,
            "best_loss": history.best_loss, "measures": history.measures,
            "verdict": history.verdict, "samples": task.write(net),
        })  # fmt: skip

    def __call__(self, update: Update, training: Training) -> None:
        """Print an update, and a sample if there is a new one."""
        for sample in training.place.samples[self._samples :]:
            say_json("sample", sample)
        self._samples = len(training.place.samples)
        say_json("update", asdict(update))


def say_json(event: str, content: dict[str, Any]) -> None:
    """Print one line of JSON."""
    click.echo(json.dumps({"event": event, **content}, ensure_ascii=False))
