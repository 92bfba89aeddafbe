"""`unrolled explain EXAMPLE` in a terminal: every step with its numbers, by keys where it is one."""

import json
import os
import re
import select
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli import unrolled

import unrolled as un
from unrolled.explaining import blocks
from unrolled.explaining.examples import read_example
from unrolled.explaining.explanation import explain
from unrolled.explaining.sources import source_line
from unrolled.explaining.terminal import Terminal
from unrolled.notation import width

PEEPHOLE = Path(__file__).with_name("peephole_lstm.py")
CELLS = ["rnn", "gru", "gru_reset_after", "lstm", str(PEEPHOLE)]


def _steps(explanation, **how):
    terminal = Terminal(explanation, **how)
    return [terminal.step(k).plain for k in range(len(explanation.moments))]


@pytest.mark.parametrize("cell", CELLS)
def test_every_step_has_its_numbers(cell):
    """The first matrix of each step, read back, is what the tape has."""
    explanation = read_example("sequence", cell)
    for moment, text in zip(explanation.moments, _steps(explanation, columns=400), strict=True):
        value = explanation.value(*moment.key)
        rows = [re.match(r"  [⎡⎢⎣]([^⎤⎥⎦]*)[⎤⎥⎦]", line) for line in text.splitlines()]
        rows = [row[1].split() for row in rows if row]
        if len(value) > 1:
            found = [[float(word.replace("−", "-")) for word in row] for row in rows]
            np.testing.assert_allclose(found, value, rtol=1e-3, atol=1e-12)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("ascii", [False, True])
def test_lines_are_no_wider_than_the_terminal(cell, ascii):
    for columns in (40, 80):
        for text in _steps(read_example("sequence", cell), columns=columns, ascii=ascii):
            lines = text.split("\n\n")
            for line in "\n\n".join(lines[:3]).splitlines():
                assert width(line) <= columns, line


@pytest.mark.parametrize("cell", CELLS)
def test_ascii_is_ascii_and_loses_nothing(cell):
    explanation = read_example("sequence", cell)
    texts = [Terminal(explanation, ascii=True).heading().plain, *_steps(explanation, ascii=True)]
    for text in texts:
        assert text.isascii()
        assert "?" not in text


@pytest.mark.parametrize("cell", CELLS)
def test_the_line_of_code_is_that_of_the_equation(cell):
    explanation = read_example("sequence", cell)
    for moment in explanation.moments:
        place = source_line(explanation, moment)
        if moment.equation.direction in ("link", "total"):
            assert place is None
            continue
        file, line, text = place
        assert moment.equation.name in text
        name = Path(cell).name if cell.endswith(".py") else f"unrolled/cells/{cell}.py"
        assert file in (name, "unrolled/outputs.py")
        at = (
            PEEPHOLE
            if cell.endswith(".py") and file == name
            else Path(un.__file__).parents[1] / file
        )
        assert at.read_text(encoding="utf-8").splitlines()[line - 1].strip() == text


def test_matrices_stand_side_by_side():
    made = {"A": blocks.matrix([[1.0, -0.5], [10, 0]]), "B": blocks.matrix([[0.25], [3]])}
    assert blocks.beside("A² ∘ (B)", made) == ["⎡ 1 −0.5⎤² ∘ (⎡0.25⎤)", "⎣10  0  ⎦     ⎣3   ⎦"]
    assert blocks.beside("2 Aᵀ", {"A": blocks.matrix([[1.0, 2.0]], ascii=True)}, ascii=True) == [
        "2 [1 2].T"
    ]
    assert blocks.matrix([[7.5]]) == ["7.5"]
    assert blocks.matrix([[1.0], [2.0]], ["'a'", "'bc'"]) == ["'a' ⎡1⎤", "'bc'⎣2⎦"]


def test_large_arrays_are_one_line():
    explanation = read_example("sequence", sizes={"n_x": 64, "n_a": 64, "n_y": 9, "m": 16, "T": 32})
    text = _steps(explanation)[explanation.find("t=3:z_a")]
    W = explanation.value("W_aa", None)
    assert f"W_aa = [64×64], −{-W.min():.4g} … {W.max():.4g}: " in text
    assert len(text.splitlines()) < 20
    assert "+ … + dW_aa⟨31⟩" in _steps(explanation)[explanation.find("dW_aa")]


def test_numbers_that_are_none_are_said():
    net = un.Network("rnn", n_x=1, n_a=2, n_y=1, activation="relu", output="linear")
    net.parameters["W_aa"][...] = 1e200
    net.parameters["W_ya"][...] = [[1, -1]]
    with np.errstate(all="ignore"):
        explanation = explain(net, np.ones((1, 1, 3)), np.ones((1, 1, 3)), np.ones((2, 1)))
    text = "\n".join(_steps(explanation))
    assert "∞" in text
    assert "NaN" in text
    assert "NaN" in Terminal(explanation).heading().plain
    assert "inf" in "\n".join(_steps(explanation, ascii=True))


def test_one_step_and_one_sequence():
    explanation = read_example("sequence", sizes={"n_x": 1, "n_a": 1, "n_y": 1, "m": 1, "T": 1})
    text = "\n".join(_steps(explanation, columns=200))
    assert "used at one step only" in text
    assert "no step comes after the last one" in text


def test_labels_name_the_rows():
    net = un.Network("rnn", n_x=2, n_a=3, n_y=2)
    explanation = explain(net, np.array([[0, 1]]), np.array([[1, 0]]))
    object.__setattr__(explanation, "labels", ("\n", "\x1b"))
    text = "\n".join(_steps(explanation))
    assert r"'\n'  ⎡1⎤" in text
    assert r"'\x1b'⎣0⎦" in text
    assert "\x1b" not in text


def test_hostile_titles_stay_text(tmp_path):
    example = tmp_path / "hostile.json"
    example.write_text(json.dumps({"title": "[red]\x1b[31mred[/red]\n\r=1"}), encoding="utf-8")
    run = unrolled("explain", str(example))
    assert run.returncode == 0
    assert run.stdout.startswith("[red]\\x1b[31mred[/red]\\n\\r=1\n")


def test_all_steps_are_printed_to_a_pipe():
    run = unrolled("explain", "sequence")
    explanation = read_example("sequence")
    assert run.returncode == 0
    assert run.stderr == ""
    labels = [moment.label for moment in explanation.moments]
    assert [line for line in run.stdout.splitlines() if line in labels] == labels
    for section in (
        "Forward, from step 0 on",
        "The loss",
        "Backward, from step 4 to 0",
        "Over all steps",
    ):
        assert run.stdout.count(section) == 1
    assert "n_x = 3, n_a = 4, n_y = 2, m = 2, T = 5" in run.stdout


@pytest.mark.parametrize(
    ("step", "label"), [("t=1:dz_a", "t=1:dz_a"), ("dW_aa", "dW_aa"), ("t=2", "t=2:z_a")]
)
def test_one_step(step, label):
    run = unrolled("explain", "small", "--step", step)
    assert run.returncode == 0
    assert run.stdout.strip().startswith(label + "\n")
    assert run.stdout.count("line ") <= 1


@pytest.mark.parametrize(("arguments", "words"), [
    (["small", "--step", "t=9:z_a"], "step 't=9:z_a' is not one of this calculation's"),
    (["small", "--step", ""], "is not one of"),
    (["nothing"], "example 'nothing' is not known: expected saturated, sequence, small"),
    (["small", "--step", "dW_aa", "-o", "page.html"], "--step is for the terminal"),
    (["small", "-o", "page.doc"], "page.doc ends in '.doc'"),
    (["small", "--cell", "none"], "cell 'none' is not known"),
])  # fmt: skip
def test_what_cannot_be_shown_is_said(arguments, words):
    run = unrolled("explain", *arguments)
    assert run.returncode == 2
    assert run.stdout == ""
    assert len(run.stderr.splitlines()) == 1
    assert words in run.stderr


def test_json_is_the_numbers():
    run = unrolled("explain", "small", "--format", "json")
    found = json.loads(run.stdout)
    explanation = read_example("small")
    np.testing.assert_array_equal(found["numbers"]["over_time"]["a"], explanation.tape["a"])
    assert run.returncode == 0


def test_a_terminal_without_symbols_gets_ascii():
    run = unrolled("explain", "small", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert run.returncode == 0
    assert run.stdout.isascii()
    assert "z_a<0> = W_aa a0 + W_ax x<0> + b_a" in run.stdout


class _Walk:
    """`unrolled explain` in a pseudo-terminal."""

    def __init__(self, *arguments):
        pty = pytest.importorskip("pty", reason="no pseudo-terminals here")
        self.master, slave = pty.openpty()
        command = [sys.executable, "-m", "unrolled", "explain", *arguments]
        environment = os.environ | {"COLUMNS": "100", "TERM": "xterm", "PYTHONUTF8": "1"}
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave,
                                        env=environment, start_new_session=True)  # fmt: skip
        os.close(slave)

    def until(self, words):
        """Return what is shown up to some words."""
        shown = ""
        while words not in shown:
            assert select.select([self.master], [], [], 20)[0], f"{words!r} did not come: {shown!r}"
            shown += os.read(self.master, 65536).decode("utf-8", "replace")
        return re.sub(r"\x1b\[[0-9;]*m", "", shown)

    def press(self, keys, words="quit "):
        self._listening()
        os.write(self.master, keys.encode())
        return self.until(words)

    def type(self, line):
        """Answer a question."""
        os.write(self.master, line.encode())
        return self.until("quit ")

    def _listening(self):
        """Wait until single keys are read: what comes before that is lost."""
        termios = pytest.importorskip("termios")
        for _ in range(2000):
            if not termios.tcgetattr(self.master)[3] & termios.ICANON:
                return
            time.sleep(0.01)
        raise AssertionError("no key is waited for")

    def ends_at(self, keys):
        self._listening()
        os.write(self.master, keys.encode())
        try:
            while select.select([self.master], [], [], 20)[0] and os.read(self.master, 65536):
                pass
        except OSError:  # of Linux, where the other end is closed
            pass
        os.close(self.master)
        return self.process.wait(20)


@pytest.fixture
def walk():
    walks = []

    def begin(*arguments):
        walks.append(_Walk(*arguments))
        return walks[-1]

    yield begin
    for one in walks:
        one.process.kill()
        one.process.wait(20)


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals here")
def test_walking_with_keys(walk):
    at = walk("small")
    shown = at.until("quit ")
    assert "small: numbers fit for paper" in shown
    assert "t=0:z_a" in shown
    assert "[1 of 64]" in shown
    assert "t=0:a\r\n" in at.press("n")
    assert "t=0:z_y\r\n" in at.press("\x1b[C")
    assert "t=0:a\r\n" in at.press("p")
    assert "t=2:da_next" in at.press("b")
    assert "da0" in at.press("e")
    assert "[64 of 64]" in at.press("n")
    assert "t=0:z_a" in at.press("f")
    at.press("g", "dW_aa: ")
    assert "t=1:dz_a" in at.type("t=1:dz_a\r")
    at.press("g", "dW_aa: ")
    assert "step 'nonsense' is not one of" in at.type("nonsense\r")
    assert "t=1:dW_aa" in at.press("nnn")
    assert at.ends_at("q") == 0


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals here")
@pytest.mark.parametrize("keys", ["\x03", "\x04", "\x1b"])
def test_walking_ends_quietly(walk, keys):
    at = walk("small")
    at.until("quit ")
    assert at.ends_at(keys) == 0


def test_a_matrix_of_one_number_has_brackets():
    sizes = {"n_x": 1, "n_a": 1, "n_y": 1, "m": 1, "T": 1}
    explanation = read_example("sequence", sizes=sizes)
    said = str(Terminal(explanation).step(explanation.find("t=0:z_a")))
    assert "[1.01] [0.18] + [−0.81] [1.3]" in said, "0.5 −0.3 would be no product"
    said = str(Terminal(explanation).step(explanation.find("t=0:loss")))
    assert "[0]" not in said, "a loss alone is a number"
