"""Files are written whole or not at all: through crashes, full disks and kill -9."""

import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from unrolled import UnrolledError
from unrolled.files import remove_leftovers, write_bytes, write_text

posix = pytest.mark.skipif(os.name != "posix", reason="POSIX's permissions and signals")
not_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write everything"
)


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_the_old_file_stays_when_writing_fails(tmp_path, monkeypatch, function):
    path = tmp_path / "file.txt"
    write_text(path, "old")

    def full(*_):
        raise OSError(28, "disk full")

    monkeypatch.setattr(os, function, full)
    with pytest.raises(UnrolledError, match=r"file.txt cannot be written: disk full"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@posix
def test_a_power_cut_finds_the_old_file_or_the_new_one(tmp_path, monkeypatch):
    """The content is on the disk before it has its name, and the name before the call returns."""
    done, real_fsync, real_replace = [], os.fsync, os.replace

    def fsync(handle):
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        real_fsync(handle)

    def replace(*names):
        done.append("replace")
        real_replace(*names)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_text(tmp_path / "file.txt", "new")
    assert done == ["file", "replace", "folder"]


@posix
def test_a_file_system_that_cannot_sync_folders_is_written_to(tmp_path, monkeypatch):
    real = os.fsync

    def fsync(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(22, "Invalid argument")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    write_text(tmp_path / "file.txt", "new")
    assert (tmp_path / "file.txt").read_text() == "new"


def test_a_link_stays_one(tmp_path):
    (tmp_path / "file.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to(tmp_path / "file.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "file.txt").read_text() == "new"


def test_a_link_to_itself(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "link")
    with pytest.raises(UnrolledError, match="cannot be written"):
        write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("name", [os.devnull, "a\0b", ".", "n" * 5000, "none/file", "\n\x1b[31m\0"])
def test_what_is_no_file_is_not_written_over(name, tmp_path):
    with pytest.raises(UnrolledError, match="cannot be written") as refusal:
        write_text(tmp_path / name, "new")
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) <= 300
    assert list(tmp_path.iterdir()) == []


def test_a_name_may_be_as_long_as_the_system_has_it(tmp_path):
    write_text(tmp_path / ("n" * 255), "new")
    assert (tmp_path / ("n" * 255)).read_text() == "new"


def test_threads_that_write_one_file_do_not_meet(tmp_path):
    path, texts = tmp_path / "file.txt", [str(k) * 100_000 for k in range(6)]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write_text, [path] * 60, texts * 10))
    assert path.read_text() in texts
    assert list(tmp_path.iterdir()) == [path]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666, 0o755])
def test_a_file_keeps_its_permissions(tmp_path, monkeypatch, mode):
    path, real, seen = tmp_path / "file.txt", os.open, []
    path.write_text("old")
    path.chmod(mode)

    def watched(name, flags, *rest, **more):
        seen.append(rest)
        return real(name, flags, *rest, **more)

    monkeypatch.setattr(os, "open", watched)
    write_text(path, "new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert seen[0] == (mode,), "it was never open to more people than before"


@posix
def test_a_new_file_has_the_permissions_that_the_user_asks_for(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "file.txt", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file.txt").stat().st_mode) == 0o640


@not_root
def test_a_write_protected_file_is_left_alone(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    path.chmod(0o444)
    with pytest.raises(UnrolledError, match="it is write-protected"):
        write_text(path, "new")
    assert path.read_text() == "old"


@not_root
def test_a_write_protected_folder(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(UnrolledError, match="cannot be written: Permission denied"):
            write_text(path, "new")
        assert list(tmp_path.iterdir()) == [path]
    finally:
        tmp_path.chmod(0o755)


def _python(program, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


FULL = """
import resource, sys
from pathlib import Path
from unrolled import UnrolledError
from unrolled.files import write_bytes
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_bytes(Path(sys.argv[1]), b"n" * 200_000)
except UnrolledError as error:
    print(error)
"""


@posix
def test_a_full_disk(tmp_path):
    path = tmp_path / "file.txt"
    path.write_text("old")
    said, errors = _python(FULL, path).communicate(timeout=60)
    assert said == f"{path} cannot be written: File too large\n", errors
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from unrolled.files import write_bytes
real = getattr(os, sys.argv[2])
def killed(*arguments):
    if sys.argv[3] == "after":
        real(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(os, sys.argv[2], killed)
write_bytes(Path(sys.argv[1]), b"new")
"""


@posix
@pytest.mark.parametrize(("function", "when", "left"), [
    ("fsync", "before", "old"), ("replace", "before", "old"), ("replace", "after", "new"),
])  # fmt: skip
def test_kill_at_each_step(tmp_path, function, when, left):
    path = tmp_path / "file.txt"
    path.write_text("old")
    process = _python(KILLED_AT, path, function, when)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert path.read_text() == left
    assert len(list(tmp_path.iterdir())) == (2 if left == "old" else 1)
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


WRITES_FOREVER = """
import sys
from pathlib import Path
from unrolled.files import write_bytes
print("ready", flush=True)
while True:
    for content in (b"a" * 3_000_000, b"b" * 2_000_000):
        write_bytes(Path(sys.argv[1]), content)
"""


@posix
def test_kill_during_many_writes(tmp_path):
    path, whole = tmp_path / "file.txt", (b"a" * 3_000_000, b"b" * 2_000_000)
    write_bytes(path, whole[0])
    for wait in (0.003, 0.011, 0.027, 0.05):
        process = _python(WRITES_FOREVER, path)
        assert process.stdout.readline() == "ready\n"
        time.sleep(wait)
        process.kill()
        process.communicate(timeout=60)
        assert path.read_bytes() in whole
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [path]


def test_only_leftovers_are_removed(tmp_path):
    kept = [
        ".unrolled-0123456789abcdef.tmp.txt", ".unrolled-0123456789abcdeg.tmp", "file.tmp",
        ".unrolled-0123456789ABCDEF.tmp", "unrolled-0123456789abcdef.tmp", ".unrolled-.tmp",
        ".unrolled-0123456789abcdef.tmp\n",
    ]  # fmt: skip
    kept = kept if os.name == "posix" else [name for name in kept if name.isprintable()]
    for name in [*kept, ".unrolled-0123456789abcdef.tmp"]:
        (tmp_path / name).write_text("")
    folder = tmp_path / ".unrolled-fedcba9876543210.tmp"
    folder.mkdir()
    link = tmp_path / ".unrolled-fedcba9876543211.tmp"
    link.symlink_to("file.tmp")
    remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} >= {*kept, folder.name, link.name} - {
        ".unrolled-0123456789ABCDEF.tmp"  # where names have no case, it is the one that was removed
    }
    assert not Path(tmp_path / ".unrolled-0123456789abcdef.tmp").exists()


def test_leftovers_of_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UnrolledError, match="none cannot be cleared"):
        remove_leftovers(tmp_path / "none")
