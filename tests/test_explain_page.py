"""The page as it is written: complete without its script, small, self-contained; for every cell."""

import base64
import hashlib
import json
import math
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from problems import OUTPUTS, cells, problem
from test_any_cell import CASES, _cell

import unrolled as un
from unrolled.explaining import page, studies
from unrolled.explaining.examples import read_example
from unrolled.explaining.explanation import Theirs, explain
from unrolled.explaining.page.selection import Selection
from unrolled.explaining.writing import number

PEEPHOLE = str(Path(__file__).parent / "peephole_lstm.py")
CONFIGURATIONS = [
    *((cell, activation, "softmax", None) for cell, activation in [*cells(), (PEEPHOLE, None)]),
    *(("rnn", None, output, loss) for output, loss in OUTPUTS),
]


class Read(HTMLParser):
    """The articles of a page with their texts and matrices, and all attributes that there are."""

    def __init__(self, text):
        super().__init__()
        self.articles, self.current, self.attributes, self.open = {}, None, [], []
        self.tables = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.attributes.append((tag, given))
        if tag not in ("meta", "path", "rect", "input", "br", "mspace"):
            self.open.append(tag)
        if tag == "article":
            self.current = self.articles[given["id"]] = {"text": "", "matrices": []}
        if self.current is not None and tag == "mtable":
            self.tables.append((given.get("data-of"), []))
            if given.get("data-of"):
                self.current["matrices"].append(self.tables[-1])
        if self.tables and tag == "mtr":
            self.tables[-1][1].append([])

    def handle_startendtag(self, tag, attributes):
        self.attributes.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"{tag} is closed where {self.open[-1:]} is open"
        if tag == "article":
            self.current = None
        if tag == "mtable" and self.tables:
            self.tables.pop()

    def handle_data(self, data):
        if self.current is None:
            return
        self.current["text"] += data
        if self.open[-2:] == ["mtd", "mn"]:
            self.tables[-1][1][-1].append(data)


def explained(cell="rnn", activation=None, output="softmax", loss=None, **sizes):
    one = problem(cell, activation, output, loss, **sizes)
    return explain(one.net, one.X, one.Y, one.state)


@pytest.mark.parametrize(("cell", "activation", "output", "loss"), CONFIGURATIONS)
def test_every_moment_is_there_with_its_numbers_without_a_script(cell, activation, output, loss):
    explanation = explained(cell, activation, output, loss)
    read = Read(page.to_html(explanation))
    assert list(read.articles) == [moment.label for moment in explanation.moments]
    assert not read.open
    for moment in explanation.moments:
        name, t = moment.key
        article = read.articles[moment.label]
        of, rows = article["matrices"][0]
        assert of == (name if t is None else f"{t}:{name}")
        assert rows == [[number(n) for n in row] for row in explanation.value(name, t)]
        for of, rows in article["matrices"][1:]:  # and every operand, under its own name
            at, _, operand = of.rpartition(":")
            right = explanation.value(operand, int(at) if at else None)
            assert rows == [[number(n) for n in row] for row in right], (moment.label, of)
        if moment.equation.line:
            assert f".py:{moment.equation.line}" in article["text"]


@pytest.mark.parametrize(
    "sizes", [{"m": 1, "T": 1}, {"n_x": 1, "n_a": 1, "n_y": 1, "m": 1, "T": 1}]
)
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_the_smallest_are_told_too(cell, sizes):
    explanation = explained(cell, output="sigmoid", **sizes)
    assert len(Read(page.to_html(explanation)).articles) == len(explanation.moments)


@pytest.mark.parametrize(
    ("name", "cell", "most"),
    [("sequence", "rnn", 400), ("sequence", "gru", 700), ("sequence", "lstm", 700)],
)
def test_pages_are_small(name, cell, most):
    assert len(page.to_bytes(read_example(name, cell))) <= most * 1000


def test_what_every_page_carries_is_small():
    """The script, the style, and a page about one number."""
    smallest = explained(n_x=1, n_a=1, n_y=1, m=1, T=1, output="linear")
    assert len(page.to_bytes(smallest)) <= 150_000


def test_nothing_is_asked_for_from_anywhere():
    text = page.to_html(read_example("sequence", "lstm"))
    read = Read(text)
    for tag, given in read.attributes:
        assert tag not in ("link", "img", "iframe", "object", "base", "form")
        for name in ("src", "href", "xlink:href", "action"):
            assert given.get(name, "#").startswith("#"), (tag, given)
        assert not [name for name in given if name.startswith("on") or name == "style"]
    policy = next(g["content"] for t, g in read.attributes if g.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for kind in ("script", "style"):
        [body] = re.findall(rf"<{kind}(?: type=\"module\")?>(.*?)</{kind}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy


def told(text):
    return json.loads(re.search(r'id="told">(.*?)</script>', text, re.DOTALL)[1])


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_the_script_is_told_every_number_to_the_last_bit(cell):
    explanation = read_example("sequence", cell)
    data = told(page.to_html(explanation))
    numbers = np.frombuffer(base64.b64decode(data["numbers"]), "<f8")
    found = {}
    for key, shape, start in data["arrays"]:
        found[key] = numbers[start : start + math.prod(shape)].reshape(shape)
    for (name, t), value in explanation.given.items():
        assert np.array_equal(found[name if t is None else f"{t}:{name}"], value)
    for moment in explanation.moments:
        name, t = moment.key
        key = name if t is None else f"{t}:{name}"
        assert np.array_equal(found[key], explanation.value(*moment.key)), key


def large(cell="rnn", **sizes):
    return read_example(
        "sequence", cell, sizes={"n_x": 10, "n_a": 64, "n_y": 10, "m": 16, "T": 32} | sizes
    )


def test_a_large_one_picks_and_says_so():
    explanation = large()
    selection = Selection(explanation)
    text = page.to_html(explanation)
    assert len(text) < 3_000_000
    for axis in ("n_x", "n_a", "n_y", "m"):
        shown = selection.indices(axis)
        assert 1 <= len(shown) < explanation.sizes[axis]
        assert f"Of the {explanation.sizes[axis]} " in text
    gradients = np.abs([explanation.value("da", t) for t in range(32)]).sum(axis=(0, 2))
    most = np.argsort(-gradients)[: len(selection.axes["n_a"])]
    assert set(selection.axes["n_a"]) == set(most), "the units that the loss depends on most"
    article = Read(text).articles["t=31:dz_a"]
    rows = article["matrices"][0][1]
    value = explanation.value("dz_a", 31)
    right = [[number(value[i, j]) for j in selection.axes["m"]] for i in selection.axes["n_a"]]
    assert rows[: len(right)] == right


def test_one_that_is_too_large_to_carry_is_shown_in_part():
    text = page.to_html(large("lstm", n_a=200, T=6))
    assert "Sums over what is not shown are written as far as it is." in text
    assert len(text) < 9_000_000


def test_numbers_that_are_none_are_shown():
    one = problem("rnn", "relu")
    one.net.parameters["W_ya"][0, 0] = 1e300
    one.net.parameters["W_aa"][0, 0] = 1e200
    with np.errstate(all="ignore"):
        text = page.to_html(explain(one.net, one.X, one.Y, one.state))
    assert "NaN" in text
    assert "∞" in text
    told(text)  # is JSON all the same


HOSTILE = '</script><script>alert("x")</script>&<b>\x00\u2028'


def test_hostile_text_stays_text():
    explanation = read_example("small")
    theirs = Theirs(
        HOSTILE,
        {("dz_a", 1): np.ones((2, 1))},
        (("dz_a", 1),),
        {"dz_a": (3, HOSTILE)},
        {"dz_a": HOSTILE},
    )
    explanation = replace(
        explanation,
        title=HOSTILE,
        notes=(HOSTILE,),
        labels=(HOSTILE, '"><img src=x>'),
        theirs=theirs,
    )
    text = page.to_html(explanation)
    assert text.count("<script") == 2
    assert "&<b>" not in text
    assert "<img" not in text
    assert "&lt;img src=x&gt;" in text


def test_a_program_beside_it_is_marked():
    explanation = read_example("small")
    right = explanation.value("dz_a", 1)
    wrong = right.copy()
    wrong[1, 0] += 0.5
    theirs = Theirs(
        "my_rnn.py", {("dz_a", 1): wrong, ("da_prev", 1): explanation.value("da_prev", 1)}, (("dz_a", 1),),
        {"dz_a": (7, "dz = da")}, {"dz_a": "the derivative is missing"},
    )  # fmt: skip
    text = page.to_html(replace(explanation, theirs=theirs))
    read = Read(text)
    article = read.articles["t=1:dz_a"]["text"]
    assert "your line 7 dz = da" in article
    assert "Wrong here: the derivative is missing" in article
    assert "A consequence" in read.articles["t=1:da_prev"]["text"]
    assert "Wrong" not in read.articles["t=1:da"]["text"]
    assert text.count("<mtd class=off>") == 1, "the entry that differs, and no other"
    assert told(text)["theirs"] == {"wrong": ["1:dz_a"], "follows": ["1:da_prev"]}


def test_in_a_notebook_it_is_the_same_page_in_a_frame():
    explanation = un.explain(*notebook())
    frame = explanation._repr_html_()
    [(tag, given)] = [one for one in Read(frame).attributes if one[0] == "iframe"]
    assert tag == "iframe"
    assert given["srcdoc"] == page.to_html(explanation)
    assert given["sandbox"] == "allow-scripts"


def notebook():
    one = problem("gru")
    return one.net, one.X, one.Y


def test_the_same_explanation_gives_the_same_bytes():
    assert page.to_bytes(read_example("sequence")) == page.to_bytes(read_example("sequence"))


def odd(tmp_path, case, **sizes):
    """An explanation of one of the odd cells, which have no `dc` in their backward."""
    forward, backward, _ = CASES[case]
    path = tmp_path / "odd.py"
    path.write_text(_cell(forward, backward), encoding="utf-8")
    return read_example("sequence", str(path), sizes=sizes or None)


@pytest.mark.parametrize("case", CASES)
def test_odd_cells_have_a_page_too(case, tmp_path):
    explanation = odd(tmp_path, case)
    text = page.to_html(explanation)
    assert len(Read(text).articles) == len(explanation.moments)
    assert "∂/∂c⟨" not in text, "no table of what the cell does not name"


def test_a_cell_need_not_name_da_to_be_shown_in_part(tmp_path):
    source = Path(un.__file__).with_name("cells").joinpath("rnn.py").read_text(encoding="utf-8")
    path = tmp_path / "nameless.py"
    path.write_text(
        source.replace("    da = da_y + da_next  # own output, and the next step\n", "")
        .replace('"da": da, ', "").replace("g.backward(da, a)", "g.backward(da_y + da_next, a)"),
        encoding="utf-8",
    )  # fmt: skip
    explanation = read_example("sequence", str(path), sizes={"n_a": 20})
    text = page.to_html(explanation)
    assert "Of the 20 hidden units" in text
    assert "Which loss depends on which state" not in text


def test_a_share_that_is_no_sum_over_the_sequences_is_told_as_it_is(tmp_path):
    explanation = odd(tmp_path, "all running sequences over before T: weight decay")
    text = page.to_html(explanation)
    section = text[text.index('<section id="apart"') : text.index('<section id="influence"')]
    shares = re.findall(r"t = \d+</th><td>([^<]*)</td></tr>", section)
    total = explanation.value("dW_aa", None)
    i, j = np.unravel_index(int(np.argmax(np.abs(total))), total.shape)
    right = [explanation.value("dW_aa", t)[i, j] for t in range(explanation.T)]
    assert shares == [number(share) for share in right]
    assert "sequence 0" not in section


def test_what_the_first_and_last_steps_shown_are_computed_from_is_carried():
    data = told(page.to_html(large("rnn", n_a=5, n_x=2, n_y=2, m=1)))
    first, last = data["steps"][0], data["steps"][-1]
    gap = next(t for t in range(first, last) if t not in data["steps"])
    behind = next(t for t in data["steps"] if t > gap)
    carried = {key for key, *_ in data["arrays"]}
    assert {f"{gap}:da_prev", f"{behind - 1}:a"} <= carried


def test_the_losses_of_the_steps_that_are_shown_alone_are_told(monkeypatch):
    asked = []
    alone = studies.alone
    monkeypatch.setattr(studies, "alone", lambda e, s: asked.append(s) or alone(e, s))
    page.to_html(large("rnn", n_a=3, n_x=2, n_y=2, m=1, T=60))
    assert len(asked) <= 6, "a table of six steps needs no sixty calculations"


def test_a_matrix_of_one_number_has_brackets():
    sizes = {"n_x": 1, "n_a": 1, "n_y": 1, "m": 1, "T": 1}
    text = page.to_html(read_example("sequence", sizes=sizes))
    bracketed = r"<mo>\[</mo><mtable data-of={}><mtr><mtd><mn>[^<]*</mn></mtd></mtr></mtable><mo>\]"
    assert re.search(bracketed.format("W_aa"), text)
    assert not re.search(bracketed.format("loss"), text)
