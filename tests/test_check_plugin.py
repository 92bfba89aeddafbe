"""The pytest plugin, as a teacher's test suite has it, and `un.check`."""

import linecache
import sys

import check_stub
import pytest

import unrolled as un
from unrolled.checking.sandbox import process as sandbox
from unrolled.checking.sources import source_of

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def _stub(monkeypatch):
    monkeypatch.setattr(sandbox, "EXAMINER", "check_stub")


def test_it_costs_nothing_where_it_is_not_used(pytester):
    pytester.makepyfile("import sys\ndef test_it(): assert 'unrolled' not in sys.modules")
    done = pytester.runpytest_subprocess("-p", "no:xdist")
    done.assert_outcomes(passed=1)


def test_an_item_for_each_file(pytester):
    pytester.makepyfile(
        right="x = 1", wrong="x = 1\nline = 2", silent="refuse = 'nothing was recognised'"
    )
    names = [
        part
        for n in ("right", "wrong", "silent", "none")
        for part in ("--unrolled-check", f"{n}.py")
    ]
    done = pytester.runpytest_inprocess(*names)
    done.assert_outcomes(passed=1, failed=3)
    done.stdout.fnmatch_lines([
        "*wrong.py is wrong, on line 2.", "*    line = 2", "*nothing was recognised*",
        "*none.py cannot be read: No such file*", "FAILED wrong.py::unrolled-check*",
    ])  # fmt: skip
    assert "pytest_unrolled.py" not in done.stdout.str()
    chosen = pytester.runpytest_inprocess(*names, "-k", "right")
    chosen.assert_outcomes(passed=1, deselected=3)


def test_hints_are_held_back(pytester):
    pytester.makepyfile(wrong="x = 1\nline = 2")
    told = [
        pytester.runpytest_inprocess("--unrolled-check", "wrong.py", "--unrolled-hints", hints).stdout.str()
        for hints in "03"
    ]  # fmt: skip
    assert ["dz_a" in text for text in told] == [False, True]


def test_the_fixture_gives_reports(pytester):
    pytester.makepyfile(mine="line = 1")
    pytester.makepyfile(
        """
        def test_mine(unrolled_check):
            report = unrolled_check("mine.py")
            assert report.verdict == "right", report
        """
    )
    done = pytester.runpytest_inprocess()
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*mine.py is wrong, on line 1."])


def test_check_takes_a_path_a_module_a_function(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("line = 1\ndef f(): pass\nclass C:\n    def g(self): pass\n")
    namespace = {"__name__": "mine"}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    assert un.check(str(path)).verdict == un.check(path).verdict == "wrong"
    assert source_of(namespace["f"]) == source_of(path)
    assert source_of([namespace["f"], namespace["f"]]) == source_of(path)
    assert source_of(check_stub).name == check_stub.__file__
    assert "dz_a" in repr(un.check(path))
    assert un.check(path, hints=0).findings[0].quantity == ""


def _cells(*texts):
    """Run cells as a notebook does; return its globals."""
    space = {"__name__": "__main__", "In": ["", *texts]}
    for k, text in enumerate(texts, 1):
        if not text.startswith("%"):
            name = f"<ipython-input-{k}>"
            linecache.cache[name] = (len(text), None, text.splitlines(True), name)
            exec(compile(text, name, "exec"), space)
    return space


def test_check_takes_the_cells_of_a_notebook():
    space = _cells(
        "import math", "%matplotlib inline", "def f():\n    return math.pi\n", "line = 5"
    )
    report = un.check(space["f"])
    [finding] = report.findings
    assert (finding.file, finding.line, finding.source) == ("In [4]", 1, "line = 5")
    space = _cells("class Net:\n    def forward(self): pass\nline = 2")
    assert un.check(space["Net"]).findings[0].line == 2


def test_what_has_no_text_is_refused():
    namespace = {}
    exec("def f(): pass", namespace)
    for what, words in ((namespace["f"], "text of f is not known"), (len, "text of len is not known"),
                        (3, "expected a path"), ([], "nothing to check"), (int, "is not known"),
                        ([source_of, un.check], "in 2 files")):  # fmt: skip
        with pytest.raises(un.UnrolledError, match=words):
            un.check(what)


def test_a_binding_may_be_a_function(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text("x = 1")

    def run(module, problem):
        return {"a": module.x}

    run.cell = "lstm"
    assert un.check(path, binding=run).proved[2] == "lstm"
    (tmp_path / "binding.py").write_text("cell = 'gru'\ndef run(module, problem): pass")
    assert un.check(path, binding=tmp_path / "binding.py").proved[2] == "gru"
    (tmp_path / "binding.py").write_text("cell = 'gru'")
    report = un.check(path, binding=tmp_path / "binding.py")
    assert "no function run(module, problem)" in report.untestable[0]
    assert sys.modules.get("binding") is None
