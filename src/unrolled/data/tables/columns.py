"""A table: the cells of a file as they came, what each column holds, and where each row stands."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from unrolled.data.tables.cells import MISSING, in_order, quoted, read_cells, read_dates
from unrolled.errors import UnrolledError

Array = Any


@dataclass(frozen=True)
class Lines:
    """Every row of a CSV as it was split, and how many lines and rows stand above the data."""

    cells: pl.DataFrame
    blank: int
    header: int

    def of(self, k: int) -> int:
        """Return the line, as an editor counts, on which row k of the data starts."""
        before = self.cells.head(k + self.header)
        breaks = before.unpivot()["value"].str.count_matches("\n", literal=True).sum()
        return self.blank + before.height + int(breaks) + 1


@dataclass(frozen=True)
class Table:
    """The rows of a file, its columns named; from CSV every cell is text."""

    path: Path
    frame: pl.DataFrame
    lines: Lines | None = None  # of a CSV
    decimal_comma: bool = False
    notes: tuple[str, ...] = ()  # what was understood and cannot be told from the columns

    def row(self, k: int) -> str:
        """Return `line 5` of a CSV, `row 4` of a Parquet."""
        return f"row {k + 1}" if self.lines is None else f"line {self.lines.of(k)}"

    def error(self, sentence: str) -> UnrolledError:
        """Return the error of the whole file."""
        return UnrolledError(f"{self.path} {sentence}")

    def error_at(self, k: int, column: str, sentence: str) -> UnrolledError:
        """Return the error of one cell."""
        return UnrolledError(f"{self.path}, {self.row(k)}, column {quoted(column)} {sentence}")

    @cached_property
    def _texts(self) -> list[str]:
        return [name for name, dtype in self.frame.schema.items() if dtype == pl.String]

    @cached_property
    def _cells(self) -> pl.DataFrame:
        return read_cells(self.frame[self._texts], self.decimal_comma)

    def _of_texts(self, what: str) -> Array:
        """Return what is known of the cells of text, (rows, columns of text)."""
        if not self._texts:  # where a Parquet has numbers only
            return np.empty((self.frame.height, 0))
        return self._cells[what].to_numpy().reshape(len(self._texts), self.frame.height).T

    @cached_property
    def _values(self) -> dict[str, Array]:
        """What can be read as numbers, (rows,) of each column, NaN where a cell cannot."""
        values = dict(zip(self._texts, self._of_texts("number").T, strict=True))
        for name, dtype in self.frame.schema.items():
            if _kind(dtype) == "number":
                values[name] = self.frame[name].cast(pl.Float64).to_numpy()
        return values

    @cached_property
    def _there(self) -> dict[str, Array]:
        """Where there is something in a cell of text, (rows,) of each column."""
        return dict(zip(self._texts, self._of_texts("there").T, strict=True))

    @cached_property
    def kinds(self) -> dict[str, str]:
        """What each column holds: number, text, time, list or other.

        Text is a column most of whose cells are no numbers; where it is less, those few are wrong.
        """
        kinds = {name: _kind(dtype) for name, dtype in self.frame.schema.items()}
        for name, there in self._there.items():
            numbers = np.isfinite(self._values[name]).sum()
            kinds[name] = "number" if 2 * numbers >= there.sum() else "text"
        return kinds

    def empty_rows(self) -> Array:
        """Return where every cell of a CSV is empty, (rows,)."""
        text = self._cells["text"]
        empty = (text.is_null() | (text == "")).to_numpy()
        return np.asarray(empty.reshape(len(self._texts), self.frame.height).all(axis=0))

    def numbers(self, columns: Sequence[str]) -> Array:
        """Return the values of columns of numbers, (rows, columns), NaN where one is missing.

        Raises UnrolledError for a cell that holds something else.
        """
        values = np.column_stack([self._values[name] for name in columns])
        values[~np.isfinite(values)] = np.nan
        nothing = np.zeros(len(values), bool)
        there = np.column_stack([self._there.get(name, nothing) for name in columns])
        for k, column in first_true(there & np.isnan(values)):
            name = columns[column]
            raise self.error_at(
                k, name, f"is {quoted(self.frame[name][k])}: expected a number; correct it, or name "
                "the columns to use with --features",
            )  # fmt: skip
        return values

    def complete(self, columns: Sequence[str]) -> Array:
        """Return the values (rows, columns), or raise UnrolledError where one is missing."""
        values = self.numbers(columns)
        for k, column in first_true(np.isnan(values)):
            raise self.missing_at(k, columns[column])
        return values

    def names(self, column: str) -> pl.Series:
        """Return a column as stripped text, or raise UnrolledError where one is missing."""
        if self.kinds[column] in ("list", "other"):
            raise self.error(f"has {self.frame.schema[column]} in column {quoted(column)}: "
                             "expected text or numbers")  # fmt: skip
        cells = self.frame[column].alias("cells")  # under its own, "^x$", polars would look for it
        names = cells.cast(pl.String).str.strip_chars()
        missing = names.is_null() | names.str.to_lowercase().is_in(MISSING)
        for k in missing.arg_true().head(1):
            raise self.missing_at(k, column)
        return names

    def labels(self, column: str) -> pl.Series:
        """Return labels as text: 1.0 is "1", True is "true"; nothing else is changed.

        Raises UnrolledError where one is missing, or numbers are not whole.
        """
        labels = self.names(column)
        lower = labels.str.to_lowercase()
        if lower.is_in(["true", "false"]).all():
            return lower
        if self.kinds[column] != "number" or np.isnan(self._values[column]).any():
            return labels
        for k in (~labels.str.contains(r"^[+-]?\d+([.,]0*)?$")).arg_true().head(1):
            raise self.error_at(
                k, column, f"is the label {quoted(labels[k])}: expected names or whole numbers; "
                "numbers to forecast are named with --target",
            )  # fmt: skip
        return labels.str.replace(r"[.,]0*$", "")

    def times(self, column: str) -> pl.Series:
        """Return numbers or dates that sort in time, or raise UnrolledError."""
        if self.kinds[column] == "time":
            times = self.frame[column]
        elif self.kinds[column] == "number":
            times = pl.Series(self.numbers([column])[:, 0], nan_to_null=True)
        else:
            return self._dates(column)
        for k in times.is_null().arg_true().head(1):
            raise self.missing_at(k, column)
        return times

    def _dates(self, column: str) -> pl.Series:
        cells = self.names(column)
        readings = read_dates(cells)
        if (dates := in_order(readings)) is not None:
            return dates
        best = min(readings, key=pl.Series.null_count)
        for k in best.is_null().arg_true().head(1):
            raise self.error_at(
                k, column, f"is {quoted(cells[k])}: expected a number, or a date such as 2020-12-31 "
                "or 2020-12-31 23:59, of one form in the whole column",
            )  # fmt: skip
        raise self.error_at(
            0, column, f"is {quoted(cells[0])}, which may have the day or the month first: "
            "expected dates such as 2020-12-31",
        )  # fmt: skip

    def missing_at(
        self, k: int, column: str, remedy: str = "fill it in or remove the row first"
    ) -> UnrolledError:
        """Return the error of a cell that is empty or stands for a missing value."""
        value = self.frame[column][k]
        empty = value is None or not str(value).strip()
        what = "is empty" if empty else f"is {quoted(str(value))}, a missing value"
        return self.error_at(k, column, f"{what}: {remedy}")

    def without_row_count(self, column: str) -> "Table":
        """Return the table without a column, if all it does is to count the rows from 0 or 1."""
        counts = self.frame[column].cast(pl.Int64, strict=False)
        rows = pl.Series(range(len(counts)), dtype=pl.Int64)
        if self.frame.width == 1 or not (counts.equals(rows) or counts.equals(rows + 1)):
            return self
        note = f"{quoted(column)} counts the rows and is left out"
        return replace(self, frame=self.frame.drop(column), notes=(*self.notes, note))


def first_true(marks: Array) -> list[tuple[int, int]]:
    """Return the row and the column of the first True, or nothing."""
    return [(int(k), int(column)) for k, column in np.argwhere(marks)[:1]]


def _kind(dtype: pl.DataType) -> str:
    if dtype.is_numeric() or dtype in (pl.Boolean, pl.Null):
        return "number"
    if isinstance(dtype, pl.List):
        return "list"
    return "time" if dtype.is_temporal() else "other"
