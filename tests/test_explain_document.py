"""The derivation as a document: LaTeX that compiles, Markdown, and the numbers of the tape in both."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
from cli import unrolled

from unrolled.explaining import studies
from unrolled.explaining.document import Formula, contents, latex, markdown, matrix
from unrolled.explaining.examples import read_example

PEEPHOLE = str(Path(__file__).with_name("peephole_lstm.py"))
CELLS = ["rnn", "gru", "gru_reset_after", "lstm", PEEPHOLE]
NASTY = '=HYPERLINK("http://x") <script>&% $x_1^2$ {\\input{a}} #~|`é\U0001f600\x1b[31m\n- [a](b) ``` \udcff'


def _numbers(text):
    """The matrices of a piece of LaTeX, as arrays."""
    found = []
    for body in re.findall(r"\\begin\{pmatrix\} (.*?) \\end\{pmatrix\}", text):
        rows = [row.split(" & ") for row in body.split(r" \\ ")]
        found.append(
            np.array(
                [[float(re.sub(r"\\cdot 10\^\{(.*)\}", r"e\1", n)) for n in row] for row in rows]
            )
        )
    return found


@pytest.mark.parametrize("cell", CELLS)
def test_the_numbers_are_those_of_the_tape(cell):
    """Each step's last line begins with the matrix that was computed."""
    explanation = read_example("sequence", cell)
    texts = [
        e.latex
        for e in contents(explanation)
        if isinstance(e, Formula) and r"\begin{aligned}" in e.latex
    ]
    loss = next(k for k, moment in enumerate(explanation.moments) if moment.key == ("loss", None))
    moments = explanation.moments
    assert len(texts) >= len(moments)
    for moment, text in zip(moments, texts[: len(moments)], strict=True):
        value = explanation.value(*moment.key)
        if value.size > 1:
            np.testing.assert_allclose(_numbers(text)[0], value, rtol=1e-3, atol=1e-12)
    assert r"\mathcal{L}" in texts[loss]


def test_the_influences_add_up():
    explanation = read_example("sequence", "gru")
    table = next(
        e.latex
        for e in contents(explanation)
        if isinstance(e, Formula) and r"\begin{array}" in e.latex
    )
    sums = _numbers(table)[-explanation.T :]
    for t, column in enumerate(sums):
        np.testing.assert_allclose(column, explanation.value("da", t)[:, :1], rtol=1e-3)


def test_large_matrices_are_cut():
    assert r"\vdots" in matrix(np.ones((9, 1)))
    assert r"\ddots" in matrix(np.ones((9, 9)))
    assert matrix(np.array([[2.5]])) == "2.5"
    assert matrix(np.array([[np.nan, np.inf, -np.inf, 1e-17]])) == (
        r"\begin{pmatrix} \mathrm{NaN} & \infty & -\infty & 1\cdot 10^{-17} \end{pmatrix}"
    )


def test_large_examples_say_what_is_left_out():
    sizes = {"n_x": 64, "n_a": 64, "n_y": 9, "m": 16, "T": 32}
    made = markdown.to_bytes(read_example("sequence", sizes=sizes)).decode()
    assert "Of the 32 steps the first and the last 4 are shown" in made
    assert "the first 7 and the last are shown" in made
    assert "Only steps 0, 1, 2, 3, 28, 29, 30, 31 are shown" in made
    assert len(made) < 1_000_000


def test_sizes_are_sane():
    for cell in CELLS:
        explanation = read_example("sequence", cell)
        assert len(latex.to_bytes(explanation)) < 300_000
        assert len(markdown.to_bytes(explanation)) < 300_000


@pytest.mark.parametrize("writer", [latex, markdown])
def test_what_is_told(writer):
    made = writer.to_bytes(read_example("saturated")).decode()
    for words in (
        "three ways",
        "Which loss depends on which state",
        "without da",
        "300,{}000 steps",
        "5,{}000,{}000",
    ):
        assert words.replace(",{}", ",") in made.replace(",{}", ",")
    small = writer.to_bytes(read_example("small")).decode()
    assert "The story" not in small
    assert len(studies.contributions(read_example("small"))) == 2


def test_text_of_users_is_escaped(tmp_path):
    path = tmp_path / "example.json"
    path.write_text(json.dumps({"title": NASTY, "output": "sigmoid"}))
    explanation = read_example(str(path))
    tex = latex.to_bytes(explanation)
    assert tex.isascii()
    heading = tex.decode().partition(r"\raggedright ")[2].partition("\n")[0]
    assert r"\textless{}script\textgreater{}\&\% \$x\_1\textasciicircum{}2\$" in heading.replace(
        r"\allowbreak{}", ""
    )
    assert r"\input" not in heading
    assert r"\'{e}(U+1F600)" in heading.replace(r"\allowbreak{}", "")
    line = markdown.to_bytes(explanation).decode().splitlines()[0]
    assert line.startswith(r"# \=HYPERLINK")
    assert "&lt;script&gt;&amp;" in line
    assert r"\$x\_1^2\$" in line
    assert r"\[a\](b)" in line
    assert "://" not in line
    assert "three ways" not in tex.decode()  # a sigmoid has no softmax


def test_markdown_has_its_mathematics_in_blocks(tmp_path):
    run = unrolled("explain", "small", "-o", "small.md", cwd=tmp_path)
    assert run.returncode == 0
    text = (tmp_path / "small.md").read_text(encoding="utf-8")
    assert text.count("```") % 2 == 0
    blocks = re.findall(r"```math\n(.*?)\n```", text, re.DOTALL)
    assert len(blocks) > 60
    for block in blocks:
        assert block.count("{") == block.count("}")
        assert block.isascii()


def _compiled(tex, folder):
    (folder / "page.tex").write_bytes(tex)
    return subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "page.tex"], cwd=folder,
                          capture_output=True, text=True, errors="replace", timeout=300, check=False)  # fmt: skip


@pytest.mark.latex
@pytest.mark.parametrize(
    ("example", "cell"), [("small", None), ("saturated", None), *(("sequence", c) for c in CELLS)]
)
def test_it_compiles(tmp_path, example, cell):
    run = _compiled(latex.to_bytes(read_example(example, cell)), tmp_path)
    assert run.returncode == 0, run.stdout[-2000:]
    assert not [pt for pt in re.findall(r"Overfull \\hbox \((\d+)", run.stdout) if int(pt) > 20]
    assert (tmp_path / "page.pdf").stat().st_size > 10_000


@pytest.mark.latex
@pytest.mark.parametrize("content", [
    {"title": NASTY}, {"output": "linear"}, {"output": "sigmoid"}, {"activation": "relu"},
    {"activation": "leaky_relu"}, {"sizes": {"n_x": 1, "n_a": 1, "n_y": 1, "m": 1, "T": 1}},
    {"sizes": {"n_x": 20, "n_a": 12, "n_y": 9, "m": 9, "T": 14}}, {"output": "softmax", "loss": "squared_error"},
])  # fmt: skip
def test_other_examples_compile(tmp_path, content):
    (tmp_path / "example.json").write_text(json.dumps(content))
    run = _compiled(latex.to_bytes(read_example(str(tmp_path / "example.json"))), tmp_path)
    assert run.returncode == 0, run.stdout[-2000:]
    assert not [pt for pt in re.findall(r"Overfull \\hbox \((\d+)", run.stdout) if int(pt) > 20]


def test_a_cell_that_does_not_name_da_has_no_table_of_it():
    explanation = read_example("sequence", str(Path(__file__).with_name("nested_relu.py")))
    text = markdown.to_bytes(explanation).decode()
    assert "Which loss depends on which state" not in text
    assert "What if a contribution is left out" in text
