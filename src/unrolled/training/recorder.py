"""What is kept of a training on its way, and at its end: metrics, checkpoints, model, curve, report."""

import platform
import time
from collections.abc import Sequence
from copy import copy
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np

import unrolled
from unrolled.errors import UnrolledError
from unrolled.network import Network
from unrolled.parameters import Parameters
from unrolled.threads import usual_threads
from unrolled.training.checkpoint import known_again, read_checkpoint, write_checkpoint
from unrolled.training.loop import Training, Update
from unrolled.training.report import Result, write_curve, write_report
from unrolled.training.run_folder import (
    RunFolder,
    cell_digest,
    check_cell_file,
    read_settings,
    sound_settings,
)
from unrolled.training.tasks import Dataset


class Recorder:
    """Writes a training into a run folder, every `save_every` seconds and at its end."""

    def __init__(
        self, folder: RunFolder, training: Training, dataset: Dataset | None, save_every: float
    ):
        self.folder, self.training, self.dataset = folder, training, dataset
        self.save_every = save_every
        self._new: list[Update] = []
        self._saved = time.perf_counter()

    def begin(self, resume: bool) -> None:
        """Write settings.json; to `resume`, put the training where its checkpoint left it.

        Raises UnrolledError where the run in the folder was another one.
        """
        settings = self.settings
        if resume:
            with sound_settings(self.folder.path):
                before = read_settings(self.folder.path)
                _check_same(before, settings)
                check_cell_file(before, self.training.net.cell)
            if self.folder.checkpoint.exists():
                read_checkpoint(self.training, self.folder.checkpoint)
        done, steps = self.training.place.step, self.training.plan.steps
        if steps is not None and steps < done:
            raise UnrolledError(
                f"the run has made {done} updates: expected steps of {done} or more"
            )
        rows = self.folder.begin_metrics(done)
        self.training.before = float(rows[-1]["seconds"]) if rows else 0.0
        self.folder.write_json("settings.json", settings)

    @cached_property
    def settings(self) -> dict[str, Any]:
        """What was asked for, and of which versions; the data are gone through for their fingerprint."""
        training = self.training
        return {
            "unrolled": unrolled.__version__, "python": platform.python_version(),
            "numpy": np.__version__, "network": training.net.settings,
            "optimiser": training.optimiser.settings, "plan": asdict(training.plan),
            "data": self.dataset.settings if self.dataset else {"kind": "arrays"},
            "windows": training.source.settings, "threads": usual_threads(),
            "cell_file": cell_digest(training.net.cell),
        }  # fmt: skip

    def note(self, update: Update) -> None:
        """Keep a row of metrics; save where it was long ago."""
        self._new.append(update)
        if time.perf_counter() - self._saved >= self.save_every:
            self.save()

    def save(self) -> None:
        """Write metrics, the checkpoint and the model, in this order: none is ahead of those before."""
        self.folder.add_metrics(self._new)
        self._new = []
        write_checkpoint(self.training, self.folder.checkpoint)
        self.folder.write_model(self._model())
        self._saved = time.perf_counter()

    def _model(self) -> Network:
        """The network that is kept: the best on held-back data, or else the last."""
        if self.training.best is None:
            return self.training.net
        best = copy(self.training.net)
        best.parameters = Parameters(self.training.best)
        return best

    def interrupted(self) -> str:
        """Save, and say where."""
        self.save()
        self._report({}, [], "Ctrl-C")
        return f" and saved; go on with: unrolled train --resume {self.folder.path}"

    def broken(self, which: str) -> str:
        """Write the last good network, and say where it is; the last checkpoint stays as it was."""
        self.folder.add_metrics(self._new)
        self.folder.write_model(self.training.net)
        self._report({}, [], "a loss that is no finite number")
        return f"; the model {which} is kept in {self.folder.path}"

    def finish(self, measures: dict[str, float], verdict: list[str], ended_by: str) -> None:
        """Write samples, loss curve and report."""
        texts = self.dataset.task.write(self.training.net, 10) if self.dataset else []
        if texts:
            self.folder.write_samples({**self._samples(), "the network that is kept": texts})
        self._report(measures, verdict, ended_by, texts)

    def _samples(self) -> dict[str, list[str]]:
        """What it wrote on the way, by when that was."""
        samples = self.training.place.samples
        return {f"after update {s['step']}": s["texts"] for s in samples if s["texts"]}

    def _report(
        self,
        measures: dict[str, float],
        verdict: list[str],
        ended_by: str,
        texts: Sequence[str] = (),
    ) -> None:
        rows, references = self.folder.metrics(), self.dataset.references if self.dataset else {}
        write_curve(self.folder.path / "loss.png", rows, references)
        samples = self._samples() | ({"the network that is kept": texts} if texts else {})
        result = Result(rows, measures, references, verdict, ended_by, self.training.place, samples)
        write_report(self.folder.path, self.settings, result)


def _check_same(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raise UnrolledError unless a run can go on: same network, same data in the same order."""
    was = before.get("windows", {}).get("fingerprint")
    if was != now["windows"].get("fingerprint"):
        raise UnrolledError("the data are not those of the run: expected the same to go on")
    for what in ("network", "windows"):
        for name, came in known_again(now[what]).items():
            if (was := before.get(what, {}).get(name)) != came:
                raise UnrolledError(
                    f"the run was made with {name} {was!r}, and {came!r} came: expected the same to go on"
                )
