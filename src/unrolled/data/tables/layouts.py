"""How sequences lie in a table: one row a step, one row a sequence, text, lists; or a series."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import polars as pl

from unrolled.data.tables import Array, LabelledSequences, Series
from unrolled.data.tables.cells import in_order, listed, quoted, read_dates
from unrolled.data.tables.columns import Table, first_true
from unrolled.data.tables.roles import Roles, check_roles, find_roles

_FEW_LABELS = 20  # as many may be one for each sequence in a small table


def read_layout(table: Table, said: Roles) -> LabelledSequences | Series:
    """Return what a table has, in the layout that its columns and what was said make out."""
    check_roles(table, said)
    roles, table = find_roles(table, said)
    columns = _values(table, roles)
    kinds = [table.kinds[name] for name in columns]
    if roles.label is None:
        return _series(table, roles, columns)
    if "list" in kinds:
        return _lists(table, roles.label, columns)
    if roles.sequence is not None:
        return _row_a_step(table, roles.label, roles.sequence, roles.time, columns)
    if roles.time is not None and not said.features:
        raise table.error(
            f"has the time {quoted(roles.time)} and the label {quoted(roles.label)}, and no column "
            "that says which rows are one sequence: name it with --sequence, or the columns that "
            "are steps with --features"
        )
    if kinds == ["text"]:
        return _text(table, roles.label, columns[0])
    return _row_a_sequence(table, roles.label, columns)


def _values(table: Table, roles: Roles) -> list[str]:
    """Return the columns to use, in the order of the file: those said, or all without a role."""
    single = (roles.label, roles.sequence, roles.time)
    said = {*roles.features, *roles.target} if roles.features else None
    return [
        name for name in table.frame.columns
        if (name in said if said is not None else name not in single)
    ]  # fmt: skip


def _row_a_step(
    table: Table, label: str, sequence: str, time: str | None, columns: list[str]
) -> LabelledSequences:
    """Sequences of rows, in the order in which each begins, sorted by time where there is one."""
    values = _complete(table, columns)
    names, labels = table.names(sequence), table.labels(label)
    rows = pl.DataFrame({"sequence": names, "label": labels}).with_row_index("row")
    rows = rows.with_columns(
        pl.col("row").min().over("sequence").alias("start"),
        pl.col("label").first().over("sequence").alias("first"),
    )
    for k in (rows["label"] != rows["first"]).arg_true().head(1):
        raise table.error_at(
            k, label, f"is {quoted(labels[k])}, and sequence {quoted(names[k])} began with "
            f"{quoted(rows['first'][k])}: expected one label in a sequence",
        )  # fmt: skip
    order, _ = _in_time(table, time, rows["start"])
    cuts = np.flatnonzero(np.diff(order["start"].to_numpy())) + 1
    sequences = np.split(values[order["row"].to_numpy()], cuts)
    starts = order["start"].unique(maintain_order=True)
    by = "" if time is None else f", time {quoted(time)}"
    return _labelled(
        table, sequences, labels.gather(starts).to_list(), columns, label,
        f"one row a step (sequence {quoted(sequence)}{by}, "
        f"label {quoted(label)}, features {listed(columns)})",
    )  # fmt: skip


def _row_a_sequence(table: Table, label: str, columns: list[str]) -> LabelledSequences:
    """A sequence of one feature in each row; it ends where the cells of its row do."""
    _check_numbers(table, columns)
    values = table.numbers(columns)
    missing = np.isnan(values)
    lengths = len(columns) - np.argmin(missing[:, ::-1], axis=1)
    for k in np.flatnonzero(missing.all(axis=1))[:1].tolist():
        raise table.error_at(k, columns[0], "and all after it are empty: expected numbers")
    for k, step in first_true(missing & (np.arange(len(columns)) < lengths[:, None])):
        raise table.missing_at(
            k, columns[step], f"fill it in first, as the sequence goes on to column "
            f"{quoted(columns[lengths[k] - 1])}; only cells after its end may be empty",
        )  # fmt: skip
    sequences = [row[:n, None].copy() for row, n in zip(values, lengths, strict=True)]
    steps = f"steps {listed(columns, most=3)}"
    return _labelled(table, sequences, table.labels(label).to_list(), ["value"], label,
                     f"one row a sequence (label {quoted(label)}, {steps})")  # fmt: skip


def _text(table: Table, label: str, column: str) -> LabelledSequences:
    """A text in each row, kept as it is with the blanks around it."""
    texts = table.frame[column].alias("texts")
    empty = texts.is_null() | (texts.str.strip_chars() == "")
    for k in empty.arg_true().head(1):
        raise table.missing_at(k, column)
    return _labelled(table, texts.to_list(), table.labels(label).to_list(), [], label,
                     f"text (label {quoted(label)}, characters of {quoted(column)})")  # fmt: skip


def _lists(table: Table, label: str, columns: list[str]) -> LabelledSequences:
    """A sequence in each row, with a list of its values for each feature."""
    for name in columns:
        dtype = table.frame.schema[name]
        inner = dtype.inner if isinstance(dtype, pl.List) else None
        if inner is None or not (inner.is_numeric() or inner == pl.Boolean):
            raise table.error_at(0, name, f"is {dtype}: expected a list of numbers in each row; "
                                          "name the columns that have one with --features")  # fmt: skip
    lists = table.frame[columns]
    lists.columns = [str(place) for place in range(lists.width)]  # "*" would be all of them
    lengths = lists.select(pl.all().list.len().fill_null(0)).to_numpy()
    for k, feature in first_true(lengths == 0):
        raise table.error_at(k, columns[feature], "is empty: expected a list of one number or more")
    for k, feature in first_true(lengths != lengths[:, :1]):
        raise table.error_at(
            k, columns[feature], f"has {lengths[k, feature]} values, column {quoted(columns[0])} "
            f"has {lengths[k, 0]}: expected lists of one length in a row",
        )  # fmt: skip
    values = lists.select(pl.all().explode().cast(pl.Float64)).to_numpy()
    ends = np.cumsum(lengths[:, 0])
    for place, feature in first_true(~np.isfinite(values)):
        k = int(np.searchsorted(ends, place, side="right"))
        step = place - (ends[k] - lengths[k, 0]) + 1
        raise table.error_at(k, columns[feature], f"has no number as its value {step} of "
                             f"{lengths[k, 0]}: fill it in or remove the row first")  # fmt: skip
    return _labelled(
        table, np.split(values, ends[:-1]), table.labels(label).to_list(), columns, label,
        f"lists (label {quoted(label)}, features {listed(columns)})",
    )  # fmt: skip


def _series(table: Table, roles: Roles, columns: list[str]) -> Series:
    """A series of all rows, in the order of time, or of the file where no column is the time."""
    if roles.sequence is not None:
        raise table.error(
            f"has rows of several sequences in {quoted(roles.sequence)}, and no label column: name "
            "it with --label; or name the columns of a series with --features"
        )
    if roles.time is None and not roles.features and (time := _only_dates(table, columns)):
        roles, columns = replace(roles, time=time), [name for name in columns if name != time]
    values = _complete(table, columns)
    if len(values) < 2:
        raise table.error("has one row: expected two or more for a series")
    order, pace = _in_time(table, roles.time, pl.zeros(len(values), pl.Int64, eager=True))
    time = "rows in order" if roles.time is None else f"time {quoted(roles.time)}{pace}"
    target = f", target {listed(roles.target)}" if roles.target else ""
    option = "" if roles.target else "no label column (--label names it, if there is one)"
    return Series(
        values[order["row"].to_numpy()], tuple(columns), roles.target or tuple(columns),
        _line(f"a series ({time}, values {listed(columns)}{target})", f"{len(values):,} steps",
              *table.notes, option),
    )  # fmt: skip


def _only_dates(table: Table, columns: list[str]) -> str | None:
    """Return the column that is a date, if it is the only one that is no number."""
    others = [name for name in columns if table.kinds[name] != "number"]
    if len(others) != 1:
        return None
    name = others[0]
    if table.kinds[name] != "text":
        return name if table.kinds[name] == "time" else None
    first = table.frame[name].alias("texts").drop_nulls().head(1).str.strip_chars()
    return name if len(first) and in_order(read_dates(first)) is not None else None


def _in_time(table: Table, time: str | None, start: pl.Series) -> tuple[pl.DataFrame, str]:
    """Return the rows sorted by where their sequence starts and by time, and a note on the pace.

    Raises UnrolledError where two rows of a sequence have the same time.
    """
    rows = pl.DataFrame({"start": start}).with_row_index("row")
    if time is None:
        return rows.sort("start", "row"), ""
    rows = rows.with_columns(table.times(time).alias("time")).sort("start", "time", "row")
    again = (rows["start"] == rows["start"].shift()) & (rows["time"] == rows["time"].shift())
    for k in again.arg_true().head(1):
        first, second = rows["row"][k - 1], rows["row"][k]
        raise table.error_at(
            second, time, f"is {quoted(str(table.frame[time][second]))}, as in {table.row(first)}: "
            "expected a different time in each row of a sequence",
        )  # fmt: skip
    return rows, "" if _is_regular(rows["time"]) else ", in irregular steps"


def _is_regular(times: pl.Series) -> bool:
    """Whether the times are equally far apart, or by the calendar's months."""
    steps = times.diff().drop_nulls()
    if not times.dtype.is_temporal():
        return bool(((steps - steps[0]).abs() <= 1e-6 * steps[0]).all())
    if times.dtype in (pl.Date, pl.Datetime):
        months = (12 * times.dt.year().cast(pl.Int64) + times.dt.month()).diff().drop_nulls()
        if months[0] > 0 and months.n_unique() == 1:
            return True
    return steps.n_unique() == 1


def _complete(table: Table, columns: list[str]) -> Array:
    _check_numbers(table, columns)
    return table.complete(columns)


def _check_numbers(table: Table, columns: list[str]) -> None:
    """Raise UnrolledError unless there are columns, and they are numbers."""
    if not columns:
        raise table.error(f"has no column of numbers beside {listed(table.frame.columns)}: expected "
                          "one or more")  # fmt: skip
    for name in columns:
        if table.kinds[name] != "number":
            value = table.frame[name].drop_nulls()[0]
            k = table.frame[name].is_not_null().arg_true()[0]
            raise table.error_at(
                k, name, f"is {quoted(str(value))}: expected a number; say what the column is with "
                "--label, --sequence or --time, or name the columns to use with --features",
            )  # fmt: skip


def _labelled(
    table: Table, sequences: list[Array] | list[str], labels: list[str], features: Sequence[str],
    label: str, layout: str,
) -> LabelledSequences:  # fmt: skip
    """Return the sequences, if what came as their labels looks like that."""
    n, kinds = len(sequences), len(set(labels))
    if kinds > max(_FEW_LABELS, n // 2):
        raise table.error(
            f"has {kinds:,} different labels in {quoted(label)} for {n:,} sequences, which looks "
            "like no label: name another column with --label"
        )
    lengths = sorted({len(sequence) for sequence in sequences})
    steps = f"{lengths[0]:,}" if len(lengths) == 1 else f"{lengths[0]:,} to {lengths[-1]:,}"
    steps += " step" if lengths == [1] else " steps"
    return LabelledSequences(sequences, labels, tuple(features), _line(
        f"labelled sequences, {layout}", f"{n:,} sequences of {steps}, {kinds} labels",
        *table.notes,
    ))  # fmt: skip


def _line(*parts: str) -> str:
    return "read as: " + "; ".join(filter(None, parts))
