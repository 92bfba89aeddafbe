"""Files are written whole or not at all."""

import errno
import os
import re
import secrets
import stat
from pathlib import Path

from filelock import FileLock, Timeout

from unrolled.errors import UnrolledError, one_line

_TEMPORARY = re.compile(r"\.unrolled-[0-9a-f]{16}\.tmp")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one, never a part.

    When this returns, the file is on the disk. A file that was there keeps its permissions. Raises
    UnrolledError where it cannot be written, with the old file as it was.
    """
    try:
        _replace(path.resolve(), content)  # a link stays one, and what it leads to is written
    except (OSError, ValueError, RuntimeError) as error:  # of the system; of a name that is none
        reason = getattr(error, "strerror", None) or error
        raise UnrolledError(one_line(f"{path} cannot be written: {reason}")) from error


def write_text(path: Path, content: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    What is no character, as a byte in a file's name may be, is written as \\udcff, which JSON reads.
    """
    write_bytes(path, content.encode("utf-8", "backslashreplace"))


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of writers that were killed.

    Only for who has the folder to themselves: a writer at work has such a file too.
    """
    try:
        for path in list(folder.iterdir()):
            if _TEMPORARY.fullmatch(path.name) and stat.S_ISREG(path.lstat().st_mode):
                path.unlink()
    except OSError as error:
        reason = error.strerror or error
        raise UnrolledError(one_line(f"{folder} cannot be cleared: {reason}")) from error


def _replace(path: Path, content: bytes) -> None:
    mode = _mode(path)
    temporary = path.with_name(f".unrolled-{secrets.token_hex(8)}.tmp")

    def create(name: str, flags: int) -> int:  # never open to more people than the file itself
        return os.open(name, flags, 0o666 if mode is None else mode)

    try:
        with open(temporary, "xb", opener=create) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode not in (None, _permissions(temporary.stat())):  # the umask took some away
            temporary.chmod(mode)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _mode(path: Path) -> int | None:
    """Return the permissions of a file that may be written over, None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        what = "a folder" if stat.S_ISDIR(found.st_mode) else "no ordinary file"
        raise OSError(f"it is {what}")
    if not os.access(path, os.W_OK):  # replacing it would need no permission but the folder's
        raise OSError("it is write-protected")
    return _permissions(found)


def _permissions(found: os.stat_result) -> int:
    return stat.S_IMODE(found.st_mode) & 0o777


def _sync_folder(folder: Path) -> None:
    """Have the disk keep the file's new name too, where the system does that for a folder."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        return
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # a folder that may be written to and not read
        return
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system that cannot
            raise
    finally:
        os.close(handle)


def read_bytes(path: Path) -> bytes:
    """Return what is in a file. Raises UnrolledError where there is none, or it cannot be read."""
    if path.exists() and not path.is_file():
        what = "a folder" if path.is_dir() else "no ordinary file"
        raise UnrolledError(f"{path} cannot be read: it is {what}")
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UnrolledError(f"{path} cannot be read: {reason}") from None


def lock(folder: Path) -> FileLock:
    """Take a folder for oneself until the lock is released, or the process ends, however it does.

    Raises UnrolledError where another run has it.
    """
    found = FileLock(folder / ".lock")
    try:
        found.acquire(timeout=0)
    except Timeout:
        raise UnrolledError(
            f"another run is writing into {folder}: wait until it is over, or name another folder"
        ) from None
    return found


def check_not_locked(folder: Path) -> None:
    """Raise UnrolledError where another run writes into a folder."""
    if (folder / ".lock").exists():
        lock(folder).release()
