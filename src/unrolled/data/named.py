"""Data sets by name, from the packages that ship them; nothing is fetched."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from typing import Any

import numpy as np

from unrolled.data.surnames import surnames
from unrolled.data.tables import LabelledSequences, Series, read_table
from unrolled.errors import UnrolledError


@dataclass(frozen=True)
class DataSet:
    """A data set, what it is, whose it is, and how it is read."""

    description: str
    source: str
    licence: str
    read: Callable[[], Any]


def digits() -> LabelledSequences:
    """Return 1797 handwritten digits, read row by row: T = 8 steps of n_x = 8 pixels from 0 to 1.

    Raises UnrolledError without scikit-learn.
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise _not_installed("digits", "scikit-learn") from None
    data = load_digits()
    images = np.asarray(data.images, dtype=np.float64) / 16
    return LabelledSequences(
        list(images), [str(label) for label in data.target], tuple(f"pixel {k}" for k in range(8)),
        "read as: labelled sequences, an image each, its 8 rows from top to bottom are the steps",
        scaled=True,
    )  # fmt: skip


def sunspots() -> Series:
    """Return the number of sunspots of each year from 1700 to 2008, (309, 1).

    Raises UnrolledError without statsmodels.
    """
    try:
        packed = files("statsmodels").joinpath("datasets/sunspots/sunspots.csv")
    except ModuleNotFoundError:
        raise _not_installed("sunspots", "statsmodels") from None
    with as_file(packed) as path:  # the file itself, as statsmodels takes seconds to import
        series = read_table(path, time="YEAR", target="SUNACTIVITY")
    assert isinstance(series, Series)
    return series


def _not_installed(name: str, package: str) -> UnrolledError:
    return UnrolledError(f"the data set {name} comes with {package}: pip install 'unrolled[data]'")


DATA_SETS = {
    "names": DataSet(
        "88,799 surnames of the United States, to write more of them, character by character",
        "United States census of 1990, in the package names", "public domain", surnames,
    ),
    "digits": DataSet(
        "1,797 handwritten digits of 8 × 8 pixels, an image row each step, to tell which digit it is",
        "UCI, Optical Recognition of Handwritten Digits (test set; Alpaydin and Kaynak 1998), in "
        "scikit-learn", "CC BY 4.0", digits,
    ),
    "sunspots": DataSet(
        "the number of sunspots of each year from 1700 to 2008, to forecast the next",
        "United States National Geophysical Data Center, in statsmodels", "public domain", sunspots,
    ),
}  # fmt: skip
