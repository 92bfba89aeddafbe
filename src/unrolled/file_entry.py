"""What a file of ours says about itself, in JSON: which kind it is, and which version reads it."""

import json
import math
import re
from typing import Any

import unrolled
from unrolled.errors import UnrolledError

Entry = dict[str, Any]

FORMAT = 2
NEEDS = "0.1.0"  # the oldest version that reads FORMAT
KINDS = {"model": "model file", "checkpoint": "checkpoint"}

_FIELDS = {
    1: {"format", "settings"},
    2: {"format", "kind", "written_by", "needs", "content", "checksum"},
}
_VERSION = re.compile(r"(\d{1,4}(?:\.\d{1,4}){0,3})[a-z0-9.+]{0,20}")


def read_entry(text: str, kind: str) -> Entry:
    """Return an entry in today's format, if it is one of that kind. Raises UnrolledError."""
    entry = _dictionary(text)
    number = entry.get("format")
    if type(number) is int and number > FORMAT:
        raise UnrolledError(_newer(entry))
    if type(number) is not int or entry.keys() != _FIELDS.get(number):
        raise UnrolledError("is damaged: its entry 'unrolled' is of no known format")
    if number == 1:
        settings = {"settings": entry["settings"]}
        entry = {"format": 1, "kind": "model", "needs": NEEDS, "content": settings}
    if entry["kind"] not in list(KINDS) or not isinstance(entry["content"], dict):
        raise UnrolledError("is damaged: its entry 'unrolled' says nothing that is known")
    if entry["kind"] != kind:
        raise UnrolledError(f"cannot be used: it is a {KINDS[entry['kind']]}")
    return entry


def check_needs(entry: Entry) -> None:
    """Raise UnrolledError where an entry, known to be undamaged, asks for a newer version."""
    if _release(entry["needs"]) > _release(unrolled.__version__):
        raise UnrolledError(_newer(entry))


def to_text(value: Any) -> str:
    """Return JSON, the same for equal values. Raises ValueError, TypeError, RecursionError."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def from_text(text: str) -> Any:
    """Return what JSON says, where it says it once and in finite numbers.

    Raises ValueError, RecursionError.
    """
    return json.loads(
        text, object_pairs_hook=_said_once, parse_float=_finite, parse_constant=_finite
    )


def _said_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is there twice")
    return found


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is no finite number")
    return value


def _dictionary(text: str) -> Entry:
    try:
        entry = from_text(text)
    except (ValueError, RecursionError) as error:
        raise UnrolledError(f"is damaged: its entry 'unrolled' is no JSON ({error})") from None
    if not isinstance(entry, dict):
        raise UnrolledError("is damaged: its entry 'unrolled' is no dictionary")
    return entry


def _newer(entry: Entry) -> str:
    """Return the sentence about a file that a newer version is needed for."""
    written_by, needs, this = entry.get("written_by"), entry.get("needs"), unrolled.__version__
    upgrade = "pip install --upgrade unrolled"
    if not _release(written_by) or not _release(needs):
        number = entry["format"]
        return f"has format {number}, and this is {this}, which reads {FORMAT}: {upgrade}"
    if _release(needs) <= _release(this):
        return f"is damaged: its format is {entry['format']}, and {this} should read it"
    return f"was written by Unrolled {written_by} and needs {needs} or newer, this is {this}: {upgrade}"


def _release(version: Any) -> tuple[int, ...]:
    """Return the numbers that a version begins with, to be compared; none where it is no version."""
    match = _VERSION.fullmatch(version) if isinstance(version, str) else None
    numbers = [int(part) for part in match[1].split(".")] if match else []
    return tuple(numbers + [0] * (4 - len(numbers))) if match else ()
