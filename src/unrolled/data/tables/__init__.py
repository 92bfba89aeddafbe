"""Tables of labelled sequences, or of a series, from CSV and Parquet.

polars reads them; it is imported with the first table, as it takes a while.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Array = Any


@dataclass(frozen=True)
class LabelledSequences:
    """Sequences, each with one label."""

    sequences: list[Array] | list[str]  # each (T_k, n_x) float64, or text: characters are its steps
    labels: list[str]
    features: tuple[str, ...]  # the names of the n_x columns; empty for text
    read_as: str = ""  # how the file was understood, in one line
    scaled: bool = False  # whether all features are of one unit already, and of a size about 1


@dataclass(frozen=True)
class Series:
    """Numbers over time."""

    values: Array  # (L, n) float64, in time order
    columns: tuple[str, ...]
    targets: tuple[str, ...]  # the columns to forecast
    read_as: str = ""  # how the file was understood, in one line


def read_table(
    path: str | Path, *, label: str | None = None, sequence: str | None = None,
    time: str | None = None, target: str | Sequence[str] = (), features: str | Sequence[str] = (),
) -> LabelledSequences | Series:  # fmt: skip
    """Read a CSV or Parquet file of labelled sequences, or of a series where no column is a label.

    Each option names a column, or columns, of the file: the label; the sequence that a row is a step
    of; the time that rows are sorted by; the columns of a series to forecast (all); and those to use
    (all that have no other role). What is not said is found by its usual name.
    Raises UnrolledError with the row, the column, what came and what was expected.
    """
    from unrolled.data.tables.files import open_table
    from unrolled.data.tables.layouts import read_layout
    from unrolled.data.tables.roles import Roles

    roles = Roles(label, sequence, time, _several(target), _several(features))
    return read_layout(open_table(path, [name for _, name in roles.by_name()]), roles)


def _several(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
