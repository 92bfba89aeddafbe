"""From a file, or the name of a data set, to data that a network can be trained on."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unrolled.data.named import DATA_SETS
from unrolled.data.tables import LabelledSequences, Series, read_table
from unrolled.data.text import looks_like_names, read_text
from unrolled.data.windows import Source
from unrolled.errors import UnrolledError, about, number_below_one, whole_number
from unrolled.training.tasks import Dataset, Task
from unrolled.training.tasks.forecast import Forecast, forecast_dataset
from unrolled.training.tasks.labelled import Labelled, labelled_dataset
from unrolled.training.tasks.synthetic import Adding, Copying, synthetic_dataset
from unrolled.training.tasks.text import Text, text_dataset

TASKS: dict[str, Any] = {task.kind: task for task in (Text, Labelled, Forecast, Adding, Copying)}
SYNTHETIC: dict[str, Any] = {"adding": Adding, "copying": Copying}
_TABLES = (".csv", ".tsv", ".parquet", ".pq")


def load_data(
    source: str | Path, *, kind: str | None = None, m: int | None = None, T: int | None = None,
    validation: float | None = None, seed: int = 0, length: int = 100, columns: Mapping[str, Any] | None = None,
) -> Dataset:  # fmt: skip
    """Return data to train on, with a share held back.

    Args:
        source: the path of a text (UTF-8), or of a table (.csv, .tsv, .parquet); or "names", "digits",
            "sunspots"; or "adding" or "copying", which are drawn.
        kind: of a text, "names" (one a line) or "prose" (one stream); None: as it looks.
        m: sequences side by side in an update. None: 128 lines, 32 else; fewer of a short stream.
        T: steps of a window. None: 200 of a line, 64 of prose, 32 of a series, a labelled sequence whole.
        validation: the share that is held back, from 0 to below 1: lines and sequences that are drawn,
            the end of prose and of series. None: 0.1 of text, 0.2 else.
        seed: of what is held back, of the order, of what is drawn.
        length: T of "adding" and "copying".
        columns: of a table: label, sequence, time, target, features; see `read_table`.

    Returns a Dataset; its `network(...)` makes a network that fits. Raises UnrolledError where the
    source cannot be read or makes no sense.
    """
    if validation is not None:
        number_below_one("validation", validation)
    for name, number, lowest in (("m", m, 1), ("T", T, 1), ("seed", seed, 0)):
        if number is not None:
            whole_number(name, number, lowest)
    raw, said = _read(source, kind, columns or {}, length)
    share = validation if validation is not None else 0.1 if isinstance(raw, str) else 0.2
    if isinstance(raw, str):
        names = kind == "names" or (kind is None and looks_like_names(raw))
        how = "" if str(source) in DATA_SETS else _as(names, kind)
        data = text_dataset(raw, names, m or (128 if names else 32), T, share, seed, said + how)
    elif isinstance(raw, LabelledSequences):
        data = labelled_dataset(raw, m or 32, T, share, seed, said)
    elif isinstance(raw, Series):
        data = forecast_dataset(raw, m or 32, T, share, said)
    else:
        data = synthetic_dataset(raw, m or 32, seed)
    where = str(Path(source).absolute()) if Path(source).exists() else str(source)
    origin = {"source": where, "kind": kind, "m": m, "T": T, "validation": validation,
              "seed": seed, "length": length, "columns": dict(columns or {})}  # fmt: skip
    return replace(data, origin=origin)


def _read(
    source: str | Path, kind: str | None, columns: Mapping[str, Any], length: int
) -> tuple[Any, str]:
    """Return what is in a source, and a line that says what it is."""
    name = str(source)
    if kind not in (None, "names", "prose"):
        raise UnrolledError(f"kind is {kind!r}: expected 'names' or 'prose'")
    is_table = Path(source).suffix.lower() in _TABLES and kind is None
    if columns and not is_table:
        raise UnrolledError(f"columns go with a table ({', '.join(_TABLES)}), and {name} came")
    if kind and name in (*SYNTHETIC, *DATA_SETS) and name != "names":
        raise UnrolledError(f"{name} is no text: expected one")
    if name in SYNTHETIC:
        return SYNTHETIC[name](whole_number("length", length, 2)), ""
    if name in DATA_SETS:
        raw = DATA_SETS[name].read()
        return "\n".join(raw) if isinstance(raw, list) else raw, DATA_SETS[name].description
    path = Path(source)
    if not path.exists():
        named = ", ".join([*DATA_SETS, *SYNTHETIC])
        raise UnrolledError(f"{name} is not there: expected a file, or one of {named}")
    if is_table:
        raw = read_table(path, **columns)
        return raw, f"{name}, {raw.read_as}"
    return read_text(path), name


def _as(names: bool, kind: str | None) -> str:
    how = "names, one a line" if names else "prose, one stream"
    other = "prose" if names else "names"
    return f", read as {how}" + ("" if kind else f" (if it is not: --as {other})")


def task_of(settings: Mapping[str, Any]) -> Task:
    """Return the task of a run, from what its settings say of the data."""
    kind = settings.get("kind")
    if kind not in TASKS:
        raise UnrolledError(f"the run is of {kind!r}, for which nothing can be read: expected one made "
                            "from a file or a data set")  # fmt: skip
    task: Task = TASKS[kind].made(settings)
    return task


def new_data(
    task: Task, source: str | Path, m: int = 64, kind: str | None = None, length: int = 100,
    columns: Mapping[str, Any] | None = None,
) -> Source:  # fmt: skip
    """Return other data of a run's kind, all of them, in order, to see how well it does there.

    The arguments are those of `load_data`. Raises UnrolledError where they cannot be read, or are of
    another kind than the task's.
    """
    if isinstance(task, Text):
        kind = "names" if task.names else "prose"
    raw, _ = _read(source, kind, columns or {}, length)
    if isinstance(task, Text) and isinstance(raw, str):
        with about(str(source)):
            return task.looked_at(raw)
    if isinstance(task, Labelled) and isinstance(raw, LabelledSequences):
        return task.source(raw, m, None, None)
    if isinstance(task, Forecast) and isinstance(raw, Series):
        return task.source(task.standard(raw), 1, None)
    if isinstance(task, Adding | Copying) and isinstance(raw, type(task)):
        return synthetic_dataset(raw, m, seed=1).training
    came = {str: "text", LabelledSequences: "labelled sequences", Series: "a series"}
    raise UnrolledError(
        f"{source} is {came.get(type(raw), 'drawn')}: expected data as the run was made from, {task.kind}"
    )
