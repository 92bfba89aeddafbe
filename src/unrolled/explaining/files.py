"""Which file is written how: by its ending."""

import importlib
from pathlib import Path

from unrolled.errors import UnrolledError, one_line
from unrolled.explaining.explanation import Explanation
from unrolled.files import write_bytes

# For each ending the module whose `to_bytes(explanation)` makes such a file; imported when asked for.
WRITERS = {
    ".html": "page", ".xlsx": "workbook", ".tex": "document.latex", ".md": "document.markdown",
    ".json": "numbers",
}  # fmt: skip


def save(explanation: Explanation, path: Path) -> None:
    """Write an explanation to a file, whole or not at all; see `Explanation.save`."""
    check_ending(path)
    module = importlib.import_module(f"unrolled.explaining.{WRITERS[path.suffix.lower()]}")
    write_bytes(path, module.to_bytes(explanation))


def check_ending(path: Path) -> None:
    """Raise UnrolledError unless a file's ending says how it is to be written."""
    if path.suffix.lower() not in WRITERS:
        raise UnrolledError(
            one_line(f"{path} ends in {path.suffix!r}: expected {', '.join(WRITERS)}")
        )
