"""A program that is checked may do anything: the report comes back, and nothing else happens."""

import os
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import unrolled as un
from unrolled.checking.running.surroundings import restored
from unrolled.checking.sandbox import memory
from unrolled.checking.sandbox import process as sandbox
from unrolled.checking.sources import Source, decoded, read_source

linux = pytest.mark.skipif(
    sys.platform != "linux", reason="limits and signals are other ones there"
)


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(sandbox, "EXAMINER", "check_stub")


def check(text, **options):
    return sandbox.checked(Source("mine.py", textwrap.dedent(text)), **options)


def test_the_report_comes_back():
    report = check("def go(): return 1 + 1")
    assert (report.verdict, report.proved[0], report.file) == ("right", "2", "mine.py")
    assert 0 < report.seconds < 10


def test_a_loop_without_end_is_stopped_and_its_line_named():
    begun = time.monotonic()
    report = check("def go():\n    k = 0\n    while True:\n        k += 1", seconds=1)
    assert time.monotonic() - begun < 5
    assert report.verdict == "wrong"
    [finding] = report.findings
    assert finding.line in (3, 4)
    assert finding.source.strip() in ("while True:", "k += 1")
    assert "still running after 1 s" in finding.message


def test_a_loop_at_top_level_could_not_be_run():
    report = check("x = 1\nwhile True: pass", seconds=1)
    assert report.verdict == "could-not-run"
    assert report.untestable == ("it was still running after 1 s, at line 2.",)


@linux
def test_a_child_that_does_not_stop_by_itself_is_killed(monkeypatch):
    monkeypatch.setattr(sandbox, "GRACE", 0.5)
    report = check("""
        import faulthandler
        def go():
            faulthandler.cancel_dump_traceback_later()
            while True: pass
        """, seconds=0.5)  # fmt: skip
    assert "still running" in report.untestable[0]


@pytest.mark.parametrize(("text", "verdict", "words"), [
    ("import sys\ndef go(): sys.exit(3)", "could-not-run", "SystemExit"),
    ("import os\ndef go():\n    os._exit(0)", "wrong", "line 3"),
    ("import ctypes\ndef go():\n    ctypes.string_at(0)", "wrong", "line 3"),
    ("def go(): raise KeyboardInterrupt", "could-not-run", "KeyboardInterrupt"),
    ("def go(): return go()", "could-not-run", "without end"),
    ("def go(): input('?')", "could-not-run", "line 1: EOFError"),
    ("refuse = 'nothing was recognised'", "could-not-run", "nothing was recognised"),
    ("import numpy as np\ndef go(): np.ones((10**5, 10**5))", "could-not-run", "memory"),
    ("def go(): 1 / 0", "could-not-run", "line 1: ZeroDivisionError"),
    ("import sys, os\ndef go():\n    sys.stdout.close()\n    os.close(1)", "right", ""),
    ("import threading, time\ndef go(): threading.Thread(target=time.sleep, args=(99,)).start()", "right", ""),
    ("import shutil, os\ndef go(): shutil.rmtree(os.getcwd())", "right", ""),
    ("import warnings\nwarnings.simplefilter('error')\ndef go(): pass", "right", ""),
    ("import numpy as np\nnp.seterr(all='raise')\nnp.dot = None", "right", ""),
])  # fmt: skip
def test_what_a_program_does_is_survived(text, verdict, words):
    if sys.platform != "linux" and words == "memory":
        pytest.skip("what is not touched is not memory there")
    report = check(text)
    assert report.verdict == verdict, report
    assert words in " ".join([*report.untestable, *(f.message for f in report.findings)])


def test_what_is_printed_is_kept_to_a_length():
    report = check("def go():\n    for k in range(30000): print('x' * 100)")
    assert report.verdict == "right"
    assert len(report.printed) < sandbox.KEPT + 100
    assert report.printed.endswith("bytes more\n")
    assert (
        check("import sys\ndef go(): print('a⟨t⟩'); print('b', file=sys.stderr)").printed
        == "a⟨t⟩\nb\n"
    )


def test_the_caller_and_its_files_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "mine")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data.txt").write_text("mine")
    (tmp_path / "neighbour.py").write_text("value = open('in.txt', 'w').write('four')")
    (tmp_path / "mine.py").write_text("from neighbour import *\ndef go(): return value")
    report = sandbox.checked("mine.py")
    assert report.proved[0] == "4"
    assert report.proved[3] == "none"
    assert not os.path.exists(report.proved[1])
    assert report.proved[1] != str(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "data.txt",
        "mine.py",
        "neighbour.py",
    ]


@pytest.mark.parametrize("what", [
    "open({path!r}, 'w')", "os.remove({path!r})", "os.rename({path!r}, 'here')", "os.chmod({path!r}, 0)",
    "np.save({path!r}, [1])", "os.mkdir({path!r} + 'x')", "os.truncate({path!r}, 0)",
    "os.chdir(os.path.dirname({path!r})) or open('data.txt', 'a')", "os.system('echo no > {path}')",
    "subprocess.run(['rm', {path!r}])", "os.kill(os.getppid(), 9)",
    "socket.create_connection(('127.0.0.1', 1))", "shutil.rmtree(os.path.dirname({path!r}))",
    "pathlib.Path({path!r}).write_text('no')", "os.open({path!r}, os.O_RDWR)",
])  # fmt: skip
def test_what_would_reach_outside_is_refused(tmp_path, what):
    path = tmp_path / "data.txt"
    path.write_text("mine")
    before = path.stat()
    text = "import os, pathlib, shutil, socket, subprocess, numpy as np\ndef go():\n    "
    report = check(text + what.format(path=str(path)))
    assert report.verdict == "could-not-run"
    assert "unrolled check does not let a program" in report.untestable[0]
    assert any("which was refused" in note for note in report.untestable)
    assert path.read_text() == "mine"
    assert (path.stat().st_mode, path.stat().st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert [p.name for p in tmp_path.iterdir()] == ["data.txt"]


def test_reading_is_allowed(tmp_path):
    (tmp_path / "data.txt").write_text("seven")
    assert (
        check(f"def go(): return open({str(tmp_path / 'data.txt')!r}).read()").proved[0] == "seven"
    )


@linux
def test_ctrl_c_ends_the_child_too(tmp_path):
    (tmp_path / "mine.py").write_text("import time\ndef go():\n    print('x')\n    time.sleep(60)")
    code = ("from unrolled.checking.sandbox import process as sandbox; from unrolled.cli.main import main; import sys;"
            "sandbox.EXAMINER = 'check_stub'; sys.argv = ['unrolled', 'check', 'mine.py']; main()")  # fmt: skip
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": os.path.dirname(__file__)},
    ) as process:  # fmt: skip
        child = _wait_for(lambda: _children(process.pid))[0]
        process.send_signal(signal.SIGINT)
        assert process.stderr.read().strip() == "unrolled: stopped"
        assert process.wait(10) == 130
    _wait_for(lambda: not os.path.exists(f"/proc/{child}"))


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
        return file.read().split()


def _wait_for(condition):
    for _ in range(200):
        if found := condition():
            return found
        time.sleep(0.05)
    raise AssertionError("it did not happen")


@linux
def test_memory_is_watched_where_the_system_sets_no_limit(monkeypatch):
    assert 1 < memory.by_ps(os.getpid()) < 10_000
    monkeypatch.setattr(sandbox, "resident_mb", lambda pid: 10 * memory.by_ps(pid))
    assert check("import time\ndef go(): time.sleep(0.5)").verdict == "right"
    report = check("import time\nheld = b'x' * 400_000_000\ndef go():\n    time.sleep(20)")
    assert report.untestable == ("more than 2,048 MB of memory were used.",)


def test_surroundings_are_restored():
    folder, dot, handler = os.getcwd(), np.dot, signal.getsignal(signal.SIGINT)
    np.random.seed(3)
    expected = np.random.rand()
    np.random.seed(3)
    with restored() as changed:
        np.dot = lambda a, b: 0
        os.chdir(os.path.dirname(folder))
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        np.seterr(all="raise")
        np.random.rand()
        sys.setrecursionlimit(5000)
    assert (os.getcwd(), np.dot, signal.getsignal(signal.SIGINT)) == (folder, dot, handler)
    assert np.geterr()["over"] == "warn"
    assert np.random.rand() == expected
    assert sys.getrecursionlimit() != 5000
    assert changed == ["numpy.dot was replaced", "the handler of SIGINT was replaced",
                       "the working folder was changed"]  # fmt: skip
    with restored() as changed:
        np.random.rand()
    assert changed == []


@pytest.mark.parametrize(("content", "words"), [
    (b"\xff\xfe\x00x", "not a Python program"), (b"x = 1\0", "zero bytes"),
    (b"# coding: klingon\n", "unknown encoding"), (b"x = '\xe9'\n", "not a Python program"),
])  # fmt: skip
def test_what_is_not_text_is_refused(content, words):
    with pytest.raises(un.UnrolledError, match=words):
        decoded(content, "mine.py")


def test_any_encoding_and_ends_of_lines_are_read(tmp_path):
    assert (
        decoded("# coding: latin-1\r\nx = 'é'\r".encode("latin-1"), "")
        == "# coding: latin-1\nx = 'é'\n"
    )
    assert decoded(b"\xef\xbb\xbfx = 1", "") == "x = 1"
    with pytest.raises(un.UnrolledError, match="is a notebook"):
        read_source("a.ipynb")
    with pytest.raises(un.UnrolledError, match="it is a folder"):
        read_source(tmp_path)
