"""`unrolled check`: what it prints, in each format, and its exit status."""

import dataclasses
import json
import math
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import unrolled as un
from unrolled.checking.binding import load_binding
from unrolled.checking.printing import formats, phrases
from unrolled.checking.printing.hints import hinted
from unrolled.checking.printing.text import to_rich, to_text
from unrolled.checking.problems import Problem
from unrolled.checking.report import Cause, Finding, Report, Worst
from unrolled.checking.sandbox import process as sandbox
from unrolled.cli.check import EXAMPLE
from unrolled.cli.main import _run

FINDING = Finding(
    "dz_a", "dtanh", 5, "my_rnn.py", 42, 17, "        dtanh = (1 - h**2) * dh", "mistake", (5, 7), "(n_a, m)",
    "dz_a⟨t⟩ = (1 − a⟨t⟩²) ∘ da⟨t⟩", Worst((2, 3), -0.5, math.nan),
    Cause("other_step", "exact", "exactly that with a⟨t−1⟩ where a⟨t⟩ belongs", "dz_a⟨t⟩ = edited"),
    "told to the end",
)  # fmt: skip
ADVICE = Finding("W_aa", "Waa", line=3, severity="advice", message="the weights are large")
WRONG = Report(
    "wrong", "rnn", (FINDING, ADVICE), ("loss summed over time",), ("padding not supported",),
    ("a: to 14 digits",), "their print", "my_rnn.py",
)  # fmt: skip


@pytest.fixture
def unrolled(monkeypatch, capsys, tmp_path):
    """Run the command here, with the stub in the child."""
    monkeypatch.setattr(sandbox, "EXAMINER", "check_stub")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)
    for name, text in (("right", "print('hello')"), ("wrong", "x = 1\nline = 2"),
                       ("silent", "refuse = 'nothing was recognised'")):  # fmt: skip
        (tmp_path / f"{name}.py").write_text(text)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["unrolled", "check", *arguments])
        status = _run()
        return status, *capsys.readouterr()

    return run


@pytest.mark.parametrize(("arguments", "status", "out", "err"), [
    (["right.py"], 0, "right.py is right.", ""),
    (["wrong.py"], 1, "    line = 2\n    ^\n", ""),
    (["silent.py"], 2, "", "unrolled: silent.py could not be checked: nothing was recognised\n"),
    (["right.py", "wrong.py"], 1, "wrong.py is wrong, on line 2.", ""),
    (["none.py", "wrong.py"], 2, "wrong.py is wrong", "unrolled: none.py cannot be read: No such file"),
    (["."], 2, "", "it is a folder"), (["a.ipynb"], 2, "", "is a notebook"),
    ([], 2, "", "no FILE came"), (["right.py", "--hints", "4"], 2, "", "--hints"),
    (["right.py", "--seconds", "0"], 2, "", "--seconds"),
    (["right.py", "--binding", "none.py"], 2, "", "none.py cannot be read"),
    (["right.py", "--binding", "right.py"], 2, "", "no function run(module, problem)"),
    (["right.py", "--show-output"], 0, "is right", "right.py printed:\nhello\n"),
])  # fmt: skip
def test_status_and_where_it_is_said(unrolled, arguments, status, out, err):
    done = unrolled(*arguments)
    assert done[0] == status, done
    assert out in done[1]
    assert err in done[2]
    assert (done[1] == "") == (out == "")
    assert (done[2] == "") == (err == "")


def test_a_document_has_standard_output_to_itself(unrolled):
    status, out, err = unrolled("wrong.py", "--format", "json", "--show-output")
    assert (status, json.loads(out)["findings"][0]["line"], err) == (1, 2, "")
    status, out, err = unrolled("silent.py", "--format", "json")
    assert (status, json.loads(out)["verdict"]) == (2, "could-not-run")
    assert err.startswith("unrolled: silent.py")
    status, out, _ = unrolled("right.py", "wrong.py", "--format", "json")
    assert [report["verdict"] for report in json.loads(out)] == ["right", "wrong"]
    assert unrolled("wrong.py", "--format", "md")[1].startswith("**wrong.py is wrong")
    assert ElementTree.fromstring(unrolled("wrong.py", "--format", "junit")[1]).tag == "testsuites"


def test_the_example_is_a_program_and_says_where_it_is(unrolled):
    status, out, _ = unrolled("--example")
    assert (status, EXAMPLE.exists()) == (0, True)  # the stub finds nothing in it
    assert str(EXAMPLE) in out
    assert json.loads(unrolled("--example", "--format", "json")[1])["verdict"] == "right"


def test_the_example_is_wrong_in_one_bracket():
    namespace = {}
    exec(EXAMPLE.read_text(encoding="utf-8"), namespace)
    right = EXAMPLE.read_text(encoding="utf-8").replace(
        "np.dot(Wya.T, dy) + da_next", "(np.dot(Wya.T, dy) + da_next)"
    )
    net = un.Network("rnn", n_x=3, n_a=5, n_y=4, seed=1)
    random = np.random.default_rng(0)
    X, a0 = random.standard_normal((3, 7, 6)), random.standard_normal((5, 7))
    Y = np.eye(4)[random.integers(0, 4, (7, 6))].transpose(2, 0, 1)
    _, gradients = net.loss_and_gradients(X, Y, state=a0, reduction="batch", inputs=True)
    theirs = {"W" + n[2:]: v for n, v in net.parameters.items() if n[0] == "W"}
    theirs |= {n.replace("_", ""): v for n, v in net.parameters.items() if n[0] == "b"}
    for text, agrees in ((EXAMPLE.read_text(encoding="utf-8"), False), (right, True)):
        exec(text, namespace)
        cache = namespace["rnn_forward"](X, Y, a0, theirs)[2]
        found = namespace["rnn_backward"](X, Y, theirs, cache)
        same = [
            np.allclose(found["d" + n.replace("_", "")], g)
            for n, g in gradients.items()
            if n != "x"
        ]
        assert all(same) == agrees


def test_text_says_it_all():
    text = to_text(WRONG)
    for words in ("my_rnn.py is wrong, on line 42.", "my_rnn.py:42:17", "    dtanh = (1 - h**2) * dh",
                  "dtanh at t = 5, which is dz_a (∂loss/∂z_a)", FINDING.equation, "(n_a, m)", "(5, 7)",
                  FINDING.cause.message, "entry [2, 3] is -0.5 and should be nan", "told to the end",
                  "Advice", "the weights are large", "loss summed over time", "padding not supported",
                  "a: to 14 digits"):  # fmt: skip
        assert words in text, words
    source, mark = text.splitlines()[3:5]
    assert source[mark.index("^") :].startswith("(1 - h**2)")
    assert to_text(WRONG, ascii=True).isascii()
    assert repr(WRONG) == text
    assert to_rich(WRONG).plain == text


@pytest.mark.parametrize("width", [40, 60, 200])
def test_lines_are_folded_to_the_terminal(width):
    long = dataclasses.replace(
        FINDING, message="word " * 100, source="x = " + "1 + " * 90, column=300
    )
    report = dataclasses.replace(WRONG, findings=(long,), proved=("word " * 60,))
    lines = to_text(report, width=width).splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.endswith("^") for line in lines)


@pytest.mark.parametrize("column", [1, 5, 150, 299, 300])
def test_the_marked_place_stays_in_sight(column):
    source = "    " + "".join(chr(ord("a") + k % 26) for k in range(296))
    finding = dataclasses.replace(FINDING, source=source, column=column)
    shown, mark = phrases.marked(finding, 60)
    assert len(shown) <= 60
    place = mark.index("^")
    assert shown[place] == source[max(column - 1, 4)]


def test_hints_hold_back_in_every_format():
    told = ["my_rnn.py:42", "dtanh at t = 5", FINDING.equation, "-0.5"]
    assert [hinted(WRONG, k).findings[0].line for k in range(4)] == [42] * 4
    for k in range(4):
        text = to_text(WRONG, hints=k)
        assert [words in text for words in told] == [n <= k for n in range(4)]
        finding = json.loads(formats.to_json([WRONG], k))["findings"][0]
        assert finding["line"] == 42
        assert [bool(finding["quantity"]), bool(finding["equation"]), bool(finding["worst"])] == [
            k >= 1, k >= 2, k >= 3
        ]  # fmt: skip
        for form in (formats.to_markdown(WRONG, k), formats.to_junit([WRONG], k)):
            assert ("dtanh at t" in form, "should be" in form) == (k >= 1, k >= 3)
            assert k == 3 or FINDING.message not in form


def test_json_is_the_reports_dictionary():
    found = json.loads(formats.to_json([WRONG]))
    assert found["schema"] == 1
    assert found["findings"][0]["worst"]["expected"] == "nan"
    assert repr(Report.from_dict(found)) == repr(WRONG)


def test_junit_is_well_formed_whatever_is_in_it():
    odd = 'a < b & "c" ]]> \x00 \x1b \ud800 ⟨t⟩ \ufffe'
    finding = dataclasses.replace(FINDING, source=odd, name=odd, message=odd)
    report = dataclasses.replace(WRONG, findings=(finding, ADVICE), file=odd)
    silent = Report("could-not-run", untestable=(odd,), file="b.py")
    root = ElementTree.fromstring(formats.to_junit([report, silent, Report("right", file="c.py")]))
    suites = root.findall("testsuite")
    assert [suite.get("failures") for suite in suites] == ["2", "0", "0"]
    assert [len(suite.findall("testcase")) for suite in suites] == [3, 1, 1]
    assert [len(list(suite.iter("failure"))) for suite in suites] == [2, 0, 0]
    assert len(list(suites[1].iter("error"))) == 1
    assert "⟨t⟩" in suites[0].find("testcase/failure").text


def test_markdown_shows_names_as_they_are():
    text = formats.to_markdown(dataclasses.replace(WRONG, file="my_rnn*.py"))
    assert r"my\_rnn\*.py is wrong" in text
    assert "```python\ndtanh = (1 - h**2) * dh\n#" in text
    assert "````" in formats.to_markdown(
        dataclasses.replace(WRONG, findings=(dataclasses.replace(FINDING, source="'```'"),))
    )


def _problem(cell="lstm"):
    random, sizes = np.random.default_rng(3), {"n_x": 3, "n_a": 5, "n_y": 4, "m": 7, "T": 6}
    state = {s: random.standard_normal((5, 7)) for s in "ac"}
    X, dA = random.standard_normal((3, 7, 6)), random.standard_normal((5, 7, 6))
    Y = random.standard_normal((4, 7, 6))
    return Problem("usual", cell, sizes, X, Y, state, {"W_fa": np.ones((5, 5))}, dA)


@pytest.mark.parametrize(("layout", "shape", "state"), [
    ("n m T", (3, 7, 6), (5, 7)), ("m T n", (7, 6, 3), (7, 5)), ("T m n", (6, 7, 3), (7, 5)),
])  # fmt: skip
def test_a_binding_hands_over_and_takes_back_in_its_layout(layout, shape, state):
    problem = _problem()

    def run(module, given):
        assert (given.X.shape, given.a0.shape, given.c0.shape) == (shape, state, state)
        module.W = given.parameters["W_fa"]
        given.parameters["W_fa"][...] = 9  # theirs to change
        return {
            "a": given.dA,
            "da0": given.a0,
            "dW_fa": module.W,
            "loss": module.answer(),
            "c": None,
        }

    run.cell, run.layout, run.states = "lstm", layout, ["a"]
    binding = load_binding(run)
    namespace = {"answer": lambda: 42}
    found = binding.run(namespace, problem)
    assert found.keys() == {"a", "da0", "dW_fa", "loss"}
    assert np.array_equal(found["a"], problem.dA)
    assert np.array_equal(found["da0"], problem.state["a"])
    assert problem.parameters["W_fa"][0, 0] == 1
    assert "W" in namespace
    assert (binding.cell, binding.states, binding.loss) == ("lstm", frozenset("a"), True)


@pytest.mark.parametrize(("text", "words"), [
    ("x = 1", "no function run"), ("def run(m, p): pass\ncell = 'elman'", "cell is 'elman'"),
    ("def run(m, p): pass\nlayout = 'x'", "layout is 'x'"), ("def run(", "SyntaxError"),
    ("import none_such", "ModuleNotFoundError"),
])  # fmt: skip
def test_what_is_no_binding_is_refused(tmp_path, text, words):
    (tmp_path / "binding.py").write_text(text)
    with pytest.raises(un.UnrolledError, match=words):
        load_binding(tmp_path / "binding.py")


@pytest.mark.parametrize(("found", "words"), [
    (None, "returned NoneType"), ({}, "returned dict"), ({"dWhh": 1}, "'dWhh', which is not in the legend"),
])  # fmt: skip
def test_what_a_binding_must_not_return(found, words):
    with pytest.raises(un.UnrolledError, match=words):
        load_binding(lambda module, problem: found).run({}, _problem())


def test_a_binding_says_what_the_program_does_not_have():
    with pytest.raises(AttributeError, match="no forwrd; it has backward, forward"):
        load_binding(lambda module, problem: module.forwrd()).run(
            {"forward": 1, "backward": 2}, _problem()
        )
