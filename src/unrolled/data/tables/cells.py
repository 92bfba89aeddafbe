"""What a cell holds: a missing value, a number, a date; and how cells and columns are said."""

import json
from collections.abc import Sequence

import polars as pl

MISSING = ("", "na", "n/a", "nan", "null", "none", "?",
           "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity")  # fmt: skip
_LONGEST = 40  # characters of a cell that are quoted
_MONTH_FIRST = ("%m/%d/%Y", "%m/%d/%Y %H:%M", "%m/%d/%Y %H:%M:%S")


def read_cells(frame: pl.DataFrame, decimal_comma: bool) -> pl.DataFrame:
    """Return the cells of columns of text, one column below the other, as `text` without blanks
    around it; whether something is `there`; and the finite `number` in it, null where it is none.

    True is 1 and false is 0. With `decimal_comma` a column that has no point anywhere may write 1,5.
    One long column, as polars is slow where columns are thousands. Columns are known by their place:
    a file may name one "value", or "*", which polars does not take for a name.
    """
    places = frame.clone()
    places.columns = [str(place) for place in range(frame.width)]
    cells = places.unpivot().with_columns(
        pl.col("value").cast(pl.String).str.strip_chars().alias("text")
    )
    text, lower = pl.col("text"), pl.col("text").str.to_lowercase()
    number = lower
    if decimal_comma:
        point = text.str.contains(".", literal=True).any().over("variable")
        number = pl.when(point).then(lower).otherwise(lower.str.replace(",", ".", literal=True))
    number = number.cast(pl.Float64, strict=False)
    finite = pl.when(number.is_finite()).then(number)
    return cells.select(
        text, (text.is_not_null() & ~lower.is_in(MISSING)).alias("there"),
        finite.when(lower == "true").then(1.0).when(lower == "false").then(0.0).alias("number"),
    )  # fmt: skip


def read_dates(texts: pl.Series) -> list[pl.Series]:
    """Return stripped cells read as dates in each form, null where a cell has not that form."""
    forms = [_dates(texts, None), *(_dates(texts, form) for form in _MONTH_FIRST),
             _dates(texts + "-01", "%Y-%m-%d")]  # fmt: skip
    return [dates for dates in forms if dates is not None]


def _dates(texts: pl.Series, form: str | None) -> pl.Series | None:
    """Return the dates of one form; None is year first or day first, as the first cell has it."""
    try:
        dates = texts.str.to_datetime(form, strict=False)
    except pl.exceptions.PolarsError:  # the first cell is no date
        return None
    known = pl.when(dates.dt.year() >= 1000).then(dates)  # 31/12/99 is not
    return pl.select(known).to_series()


def in_order(readings: list[pl.Series]) -> pl.Series | None:
    """Return the reading in which every cell is a date, or None.

    01/02/2020 may be in January or in February: where the two give another order of the rows, the
    one in which the rows are in order already counts, and None where that does not decide.
    """
    whole = [dates for dates in readings if not dates.null_count()]
    if len(whole) > 1 and not whole[0].arg_sort().equals(whole[1].arg_sort()):
        whole = [dates for dates in whole if dates.is_sorted()]
    return whole[0] if whole else None


def quoted(text: str) -> str:
    """Return a cell or a name between quotation marks, cut where it is long."""
    cut = text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
    return json.dumps(cut, ensure_ascii=False)


def listed(names: Sequence[str], most: int = 8) -> str:
    """Return names with commas between them, the middle of a long list left out."""
    if len(names) <= most:
        return ", ".join(map(_shown, names))
    first = ", ".join(map(_shown, names[: most - 2]))
    return f"{first}, …, {_shown(names[-1])} ({len(names):,} columns)"


def _shown(name: str) -> str:
    """Return a name as it is, or quoted where it would not be seen as one."""
    plain = len(name) <= _LONGEST and name.replace("_", "").replace("-", "").isalnum()
    return name if plain else quoted(name)
