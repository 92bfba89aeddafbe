"""United States surnames of the 1990 census (public domain), as the package `names` brings them."""

from importlib.resources import files

from unrolled.errors import UnrolledError


def surnames() -> list[str]:
    """Return the surnames, the most frequent first, in lower case. Raises UnrolledError without them."""
    try:
        text = files("names").joinpath("dist.all.last").read_text("ascii")
    except (ModuleNotFoundError, FileNotFoundError):
        raise UnrolledError("the surnames are not there: pip install names") from None
    return [line.split()[0].lower() for line in text.splitlines() if line.strip()]
