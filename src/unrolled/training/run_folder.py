"""The run folder: everything one training run leaves behind, in files that other tools read.

settings.json       what was asked: data, network, optimiser, plan, versions
checkpoint.safetensors   all that is needed to go on
model.safetensors   the network, that with the lowest loss on held-back data where there are any
metrics.csv         a row an update
loss.png            the loss curve
samples.txt         what it wrote
report.html         all of it on one page
"""

import contextlib
import csv
import io
import json
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.data.windows import fingerprint
from unrolled.errors import UnrolledError, one_line
from unrolled.files import lock, read_bytes, remove_leftovers, write_text
from unrolled.model_file import write_model
from unrolled.network import Network
from unrolled.training.loop import Update

_COLUMNS = [field.name for field in fields(Update)]


class RunFolder:
    """A folder that one training writes into, and no other at the same time.

    It was empty or was not there, or, to `go_on`, holds a run. To be used in a `with`, at whose end
    others may write again. Raises UnrolledError where it cannot be made, where something else is in
    it, or where another run is writing.
    """

    def __init__(self, path: str | Path, go_on: bool = False):
        self.path = Path(path)
        self.checkpoint = self.path / "checkpoint.safetensors"
        try:
            if not go_on:
                self.path.mkdir(parents=True, exist_ok=True)
            self._open(go_on)
        except OSError as error:
            reason = error.strerror or error
            raise UnrolledError(f"the folder {self.path} cannot be written to: {reason}") from None

    def _open(self, go_on: bool) -> None:
        if go_on and not (self.path / "settings.json").is_file():
            raise UnrolledError(f"{self.path} holds no run: expected a folder with settings.json")
        if not self.path.is_dir() or not (go_on or self._is_free()):
            raise UnrolledError(
                f"{self.path} is there already: name another folder with --out, or go on with it "
                f"by --resume {self.path}"
            )
        self._lock = lock(self.path)
        if not go_on and not self._is_free():  # another one was quicker
            self._lock.release()
            raise UnrolledError(f"{self.path} is there already: name another folder with --out")
        remove_leftovers(self.path)

    def _is_free(self) -> bool:
        """Whether nothing is in the folder but what a run that never began left."""
        return all(path.name.startswith(".") for path in self.path.iterdir())

    def __enter__(self) -> "RunFolder":
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @classmethod
    def named_by_time(cls, name: str) -> "RunFolder":
        """Make runs/NAME-DATE-TIME, with a number behind it where two start in one second."""
        base = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        path, number = base, 2
        while path.exists():
            path, number = base.with_name(f"{base.name}-{number}"), number + 1
        return cls(path)

    def write_model(self, net: Network) -> None:
        """Write model.safetensors."""
        write_model(net, self.path / "model.safetensors")

    def write_json(self, name: str, content: Any) -> None:
        """Write a file of JSON."""
        write_text(self.path / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def write_samples(self, sections: Mapping[str, Sequence[str]]) -> None:
        """Write samples.txt: a heading, and a sample a line, for each section."""
        blocks = ["\n".join([f"# {title}", *samples]) for title, samples in sections.items()]
        write_text(self.path / "samples.txt", "\n\n".join(blocks) + "\n")

    def begin_metrics(self, done: int) -> list[dict[str, str]]:
        """Begin metrics.csv, or cut it off behind step `done`, from which a training goes on; return
        the rows that are left.
        """
        path = self.path / "metrics.csv"
        rows = [row for row in self.metrics() if int(row["step"]) <= done] if path.exists() else []
        write_text(path, ",".join(_COLUMNS) + "\n" + _csv(rows))
        return rows

    def add_metrics(self, updates: Iterable[Update]) -> None:
        """Add rows to metrics.csv; on disk when this returns, so that no checkpoint is ahead of it."""
        path = self.path / "metrics.csv"
        try:
            with open(path, "ab") as file:
                file.write(_csv(map(asdict, updates)).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise UnrolledError(f"{path} cannot be written: {error.strerror or error}") from None

    def metrics(self) -> list[dict[str, str]]:
        """Return the whole rows of metrics.csv; a last one that was cut off is none."""
        text = read_bytes(self.path / "metrics.csv").decode("utf-8", "replace")
        whole = text[: text.rfind("\n") + 1]
        rows = csv.DictReader(io.StringIO(whole))
        return [row for row in rows if _is_update(row)]


def read_settings(folder: Path) -> dict[str, Any]:
    """Return what settings.json of a run folder says. Raises UnrolledError where there is none."""
    path = folder / "settings.json"
    if not path.is_file():
        raise UnrolledError(f"{folder} holds no run: expected a folder with settings.json")
    content = read_bytes(path)
    try:
        settings: dict[str, Any] = json.loads(content)
        settings["network"], settings["data"]["kind"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UnrolledError(f"{path} is damaged: expected the settings of a run") from None
    return settings


def check_cell_file(settings: Mapping[str, Any], cell: Any) -> None:
    """Raise UnrolledError unless a cell is the one, to the letter, that a run was made with."""
    if settings.get("cell_file") != cell_digest(cell):
        raise UnrolledError(
            "the cell file is not the one that the run was made with: expected the same, to the letter"
        )


def cell_digest(cell: Any) -> str | None:
    """Return a short text that is another one for another cell file; None for a cell that is none."""
    if not str(cell).endswith(".py"):
        return None
    return fingerprint(np.frombuffer(read_bytes(Path(str(cell))), np.uint8))


@contextlib.contextmanager
def sound_settings(folder: Path) -> Iterator[None]:
    """Say in one sentence what goes wrong in making again what settings.json says, as anything may
    be in a file that people can edit.
    """
    try:
        yield
    except UnrolledError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        path = folder / "settings.json"
        raise UnrolledError(one_line(f"{path} is damaged: {error!r}")) from None


def _is_update(row: Mapping[str, str]) -> bool:
    """Whether a row of metrics.csv can be used."""
    if [*row] != _COLUMNS or None in row.values():
        return False
    try:
        int(row["step"])
        float(row["validation_loss"] or "0")  # which may be NaN
        return math.isfinite(float(row["loss"])) and math.isfinite(float(row["seconds"]))
    except ValueError:
        return False


def _csv(rows: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    csv.DictWriter(text, _COLUMNS, lineterminator="\n").writerows(rows)
    return text.getvalue()
