"""Files are written whole or not at all."""

import os
import threading
from pathlib import Path

from unrolled.errors import UnrolledError


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one, never a part.

    Raises UnrolledError where the folder cannot be written to.
    """
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no ordinary file"
        raise UnrolledError(f"{path} cannot be written: it is {what}")
    try:
        path = path.resolve()  # a link stays one, and what it leads to is written
        temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        try:
            with open(temporary, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnrolledError(f"{path} cannot be written: {reason}") from error


def write_text(path: Path, content: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    write_bytes(path, content.encode("utf-8"))
