"""United States surnames of the 1990 census (public domain), as the package `names` brings them."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from unrolled.errors import UnrolledError


def surnames() -> list[str]:
    """Return the surnames, the most frequent first, in lower case. Raises UnrolledError without them."""
    try:  # not by importing it: a file names.py of one's own may stand in the way
        path = distribution("names").locate_file("names/dist.all.last")
        text = Path(str(path)).read_text("ascii")
    except (PackageNotFoundError, FileNotFoundError):
        raise UnrolledError("the surnames are not there: pip install names") from None
    return [line.split()[0].lower() for line in text.splitlines() if line.strip()]
