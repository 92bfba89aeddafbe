"""From a path to a table: what a file is by its first bytes, and why it is none where it is none."""

import io
from collections.abc import Collection
from pathlib import Path

import polars as pl

from unrolled.data.tables.columns import Table
from unrolled.data.tables.csv_file import open_csv
from unrolled.errors import UnrolledError
from unrolled.files import read_bytes

_EXPECTED = "expected a CSV or Parquet file"
_PARQUET = b"PAR1"
_ROW_COUNTS = ("Unnamed: 0", "__index_level_0__")  # as pandas calls them
_SIGNATURES = {
    b"PK\x03\x04": "an Excel file or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\x1f\x8b": "compressed (gzip)",
    b"BZh": "compressed (bzip2)",
    b"\xfd7zXZ": "compressed (xz)",
    b"\x28\xb5\x2f\xfd": "compressed (zstd)",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"GIF8": "a GIF picture",
    b"%PDF": "a PDF document",
    b"\x89HDF": "an HDF5 file",
    b"\x93NUMPY": "a NumPy file",
    b"ARROW1": "an Arrow file",
    b"SQLite format 3": "an SQLite database",
    b"\xff\xfe": "text in UTF-16",
    b"\xfe\xff": "text in UTF-16",
}
_MARKUP = {"{": "JSON", "[": "JSON", "<": "HTML or XML"}


def open_table(path: str | Path, said: Collection[str] = ()) -> Table:
    """Return the table in a file; `said` are the names of columns that a person gave.

    Raises UnrolledError with what came instead.
    """
    path = Path(path)
    raw = read_bytes(path)
    if not raw.strip():
        raise UnrolledError(f"{path} is empty: {_EXPECTED}")
    if raw.startswith(_PARQUET) or path.suffix.lower() in (".parquet", ".pq"):
        table = _open_parquet(path, raw)
    else:
        table = open_csv(path, _text(path, raw), said)
    first = table.frame.columns[0]
    return table.without_row_count(first) if first in _ROW_COUNTS else table


def _open_parquet(path: Path, raw: bytes) -> Table:
    try:
        frame = pl.read_parquet(io.BytesIO(raw))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = " ".join(str(error).split())[:80]
        raise UnrolledError(
            f"{path} is damaged, or is no Parquet ({reason}): {_EXPECTED}; write it again"
        ) from None
    if frame.is_empty():
        raise UnrolledError(f"{path} has no rows: {_EXPECTED} with rows of data")
    schema = frame.schema.items()
    names = [n for n, dtype in schema if isinstance(dtype, pl.Categorical | pl.Enum)]
    fixed = [n for n, dtype in schema if isinstance(dtype, pl.Array)]
    return Table(path, frame.with_columns(
        *(frame[name].cast(pl.String) for name in names),
        *(frame[name].arr.to_list() for name in fixed),
    ))  # fmt: skip


def _text(path: Path, raw: bytes) -> str:
    """Return the text of a file that has no other kind's signature and is UTF-8."""
    for signature, what in _SIGNATURES.items():
        if raw.startswith(signature):
            raise UnrolledError(f"{path} is {what}: {_EXPECTED}; save it as CSV in UTF-8")
    if zero := raw.find(b"\0") + 1:
        line = raw.count(b"\n", 0, zero) + 1
        raise UnrolledError(f"{path}, line {line} has a zero byte, so it is no text: {_EXPECTED}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line, byte = raw.count(b"\n", 0, error.start) + 1, raw[error.start]
        raise UnrolledError(
            f"{path}, line {line} is not UTF-8: the byte {byte:#04x} came ({chr(byte)!r} in "
            "Latin-1); save the file as UTF-8"
        ) from None
    if not text.strip():
        raise UnrolledError(f"{path} is empty: {_EXPECTED}")
    if markup := _MARKUP.get(text.lstrip()[0]):
        raise UnrolledError(f"{path} is {markup}: {_EXPECTED}")
    return text
