"""CSV in its dialects: separator, header, decimal comma, line ends; polars splits and unquotes."""

import csv
import io
import itertools
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from unrolled.data.tables.cells import in_order, quoted, read_cells, read_dates
from unrolled.data.tables.columns import Lines, Table
from unrolled.data.tables.roles import is_usual
from unrolled.errors import UnrolledError

MOST_COLUMNS = 100_000  # more take minutes, and are one gigantic line rather than a table
_SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas"}  # the first that fits is taken
_MARKS = "put quotation marks around whole cells, and double those inside"


def open_csv(path: Path, text: str, said: Collection[str]) -> Table:
    """Return the table in a text; `said` are names of columns that a person gave, so that a row
    that has one is the header. Raises UnrolledError with the line that is wrong.
    """
    content = text.lstrip("\r\n")
    blank = text[: len(text) - len(content)].count("\n")
    separator = _separator(content)
    cells = _split(path, content, separator, blank)
    decimal_comma = separator != ","
    header = _is_header(cells, decimal_comma, said)
    rows = cells.slice(int(header))
    names = [(name or "").strip() for name in cells.row(0)] if header else [""] * cells.width
    rows.columns = _names(path, names, blank + 1)
    notes = () if header else ("no header",)
    table = Table(path, rows, Lines(cells, blank, int(header)), decimal_comma, notes)
    if rows.is_empty():
        raise table.error("has a header and no rows: expected rows of data below it")
    table = _without_empty_rows(table)
    return _without_unnamed(table, names) if header else table


def _separator(text: str) -> str:
    """Return what splits the first rows into equally many cells, or else the first row at all."""
    counts: dict[str, list[int]] = {}
    for separator in _SEPARATORS:
        rows = csv.reader(io.StringIO(text[:1_000_000], newline=""), delimiter=separator)
        try:
            counts[separator] = [len(row) for row in itertools.islice(rows, 20) if row]
        except csv.Error:  # a gigantic cell
            counts[separator] = [text[:1_000_000].partition("\n")[0].count(separator) + 1]
    splits = [separator for separator, n in counts.items() if n[0] > 1]
    even = [separator for separator in splits if len(set(counts[separator])) == 1]
    return (even or splits or [","])[0]


def _split(path: Path, text: str, separator: str, blank: int) -> pl.DataFrame:
    """Return all cells as text, the header among them."""
    end = "\n" if "\n" in text or "\r" not in text else "\r"
    most = text.partition(end)[0].count(separator) + 1
    if most > MOST_COLUMNS:
        raise UnrolledError(
            f"{path}, line {blank + 1} has {most:,} cells: expected at most {MOST_COLUMNS:,}; "
            "a long sequence is written one row a step"
        )
    try:
        return pl.read_csv(text.encode(), has_header=False, separator=separator,
                           infer_schema_length=0, eol_char=end)  # fmt: skip
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        reason = _why_not(text, separator, blank)
        reason = reason or f" cannot be read as CSV: {' '.join(str(error).split())[:80]}"
        raise UnrolledError(f"{path}{reason}") from None


def _why_not(text: str, separator: str, blank: int) -> str | None:
    """Return what is wrong with the first row that has too many cells, or a stray quotation mark."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    width, line, astray = 0, 1, None
    try:
        for row in rows:
            width = width or len(row)
            if len(row) > width:
                return (
                    f", line {blank + line} has {len(row)} cells, line {blank + 1} has {width} "
                    f"({_SEPARATORS[separator]} between them): expected as many in every line, "
                    "empty ones where a sequence has ended"
                )
            if astray is None and any('"' in cell for cell in row):
                astray = line
            line = rows.line_num + 1
    except csv.Error:
        astray = line
    return (
        None if astray is None else f", line {blank + astray} has a stray quotation mark: {_MARKS}"
    )


def _is_header(cells: pl.DataFrame, decimal_comma: bool, said: Collection[str]) -> bool:
    """Whether the first row names the columns: it has text that is no number, date or label.

    Text that stands in its own column again, while another cell of the row does not, is a label.
    """
    row = read_cells(cells.head(1), decimal_comma)
    if any(name in said or is_usual(name) for name in row["text"].drop_nulls()):
        return True
    is_text = row["there"] & row["number"].is_null()
    texts = row["text"].filter(is_text)
    if all(in_order(read_dates(pl.Series([text]))) is not None for text in texts):
        return False
    text = pl.col("value").str.strip_chars()
    columns = cells.unpivot().group_by("variable", maintain_order=True)
    again = columns.agg(((text == text.first()).sum() > 1).alias("again"))["again"]
    labels = int((again & is_text).sum())
    return labels in (0, cells.width)


def _names(path: Path, header: list[str], line: int) -> list[str]:
    """Return the names of the columns; one without a name has that of its place."""
    names = [name or f"column_{k}" for k, name in enumerate(header, start=1)]
    for name, count in Counter(names).items():
        if count > 1:
            raise UnrolledError(
                f"{path}, line {line} names {count} columns {quoted(name)}: expected different names"
            )
    return names


def _without_empty_rows(table: Table) -> Table:
    """Return the table without the empty rows at its end. Raises UnrolledError for one before."""
    empty = table.empty_rows()
    if empty.all():
        raise table.error("has empty rows only: expected rows of data")
    height = len(empty) - int(np.argmin(empty[::-1]))
    if table.frame.width > 1:  # in a single column it is a missing value
        for k in np.flatnonzero(empty[:height])[:1]:
            raise UnrolledError(f"{table.path}, {table.row(int(k))} is empty: remove the line")
    return table if height == len(empty) else replace(table, frame=table.frame.head(height))


def _without_unnamed(table: Table, header: list[str]) -> Table:
    """Return the table without what programs add: an empty last column, where each line ends in a
    separator, and a first one that counts the rows.
    """
    last = table.frame.columns[-1]
    if len(header) > 1 and not header[-1] and (table.frame[last].fill_null("") == "").all():
        table = replace(table, frame=table.frame.drop(last))
    return table if header[0] else table.without_row_count(table.frame.columns[0])
