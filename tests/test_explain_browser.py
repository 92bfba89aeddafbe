"""The page as it is used: in a real browser, by keyboard, with its numbers held against NumPy's."""

import functools
import math
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli import unrolled
from test_any_cell import CASES, _cell

import unrolled as un
from unrolled.explaining.examples import names, read_example
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.studies import (
    gradients,
    influence,
    shortened,
    switched_off,
    three_ways,
)
from unrolled.explaining.writing import number
from unrolled.tape import Tape

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api")

ROOT = Path(__file__).parent.parent
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update"]  # fmt: skip
CELLS = ("rnn", "gru", "lstm")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield started
        started.close()


@functools.cache
def example(name, cell=None):
    return read_example(name, cell)


class Opened:
    """A page that was opened: what it asked for and complained about is kept."""

    def __init__(self, browser, path, fragment="", **settings):
        self.complaints, self.requests = [], []
        settings = {"viewport": {"width": 1300, "height": 1000}, **settings}
        self.page = browser.new_context(**settings).new_page()
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"file://{path}{fragment}")

    def current(self):
        return self.page.locator(".moment.current").get_attribute("id")

    def matrix(self, key, within=""):
        """The texts of a matrix, row by row."""
        cells = self.page.locator(f'{within} [data-of="{key}"]').first
        return cells.evaluate(
            "table => [...table.children].map(row => [...row.children].map(c => c.textContent))"
        )

    def numbers(self, key, within=""):
        return np.array([[as_number(text) for text in row] for row in self.matrix(key, within)])

    def edit(self, key, i, j, value):
        field = self.page.locator(f'.inputs input[data-key="{key}"][data-i="{i}"][data-j="{j}"]')
        field.fill(str(value))
        field.press("Enter")


def as_number(text):
    return float(text.replace("−", "-").replace("∞", "inf"))


def key(moment):
    return moment.equation.name if moment.t is None else f"{moment.t}:{moment.equation.name}"


def close(shown, right):
    """Whether numbers of four digits are the right ones, to what four digits can say."""
    right = np.asarray(right)
    return shown.shape == right.shape and np.all(
        (np.abs(shown - right) <= 6e-4 * np.abs(right)) | (np.isnan(shown) & np.isnan(right))
    )


@pytest.fixture
def opened(browser, tmp_path):
    pages = []

    def open_(explanation, fragment="", **settings):
        path = tmp_path / f"page{len(pages)}.html"
        explanation.save(path)
        pages.append(Opened(browser, path, fragment, **settings))
        return pages[-1]

    yield open_
    for one in pages:
        assert not one.complaints
        assert len(one.requests) == 1, "nothing is asked for but the page itself"
        one.page.context.close()


@pytest.mark.parametrize(
    ("name", "cell"), [*((n, None) for n in names()), ("sequence", "gru"), ("sequence", "lstm")]
)
def test_every_step_is_walked_by_keyboard_and_shows_numpys_numbers(opened, name, cell):
    explanation = example(name, cell)
    page = opened(explanation)
    for k, moment in enumerate(explanation.moments):
        assert page.current() == moment.label
        assert close(page.numbers(key(moment), ".moment.current"), explanation.value(*moment.key))
        cell_of_board = page.page.locator(f'[data-cell="{key(moment)}"]')
        if moment.t is not None:
            assert "current" in cell_of_board.get_attribute("class")
        if k < len(explanation.moments) - 1:
            page.page.keyboard.press("ArrowRight")
    for moment in reversed(explanation.moments):
        assert page.current() == moment.label
        page.page.keyboard.press("ArrowLeft")
    assert page.current() == explanation.moments[0].label
    page.page.keyboard.press("End")
    assert page.current() == explanation.moments[-1].label


def test_the_board_fills_as_one_goes(opened):
    page = opened(example("sequence", "rnn"), "#t=2:a")
    later = page.page.locator('[data-cell="3:z_a"] math')
    assert not later.is_visible()
    assert page.page.locator('[data-cell="2:z_a"] math').is_visible()
    page.page.keyboard.press("End")
    assert later.is_visible()


@pytest.mark.parametrize("cell", CELLS)
def test_pointing_writes_out_what_a_number_was_computed_from(opened, cell):
    """The numbers that are written out are read back, and computed: they give the number itself."""
    explanation = example("sequence", cell)
    page = opened(explanation)
    checked = 0
    for moment in explanation.moments:
        if moment.t in (None, 0, 3, 4):
            value = explanation.value(*moment.key)
            j = value.shape[1] - 1
            page.page.locator(f'.moment.current [data-of="{key(moment)}"] mtd').nth(j).hover()
            text = page.page.locator("p.provenance").inner_text()
            checked += reads_back(text, value[0, j])
            assert page.page.locator(".moment.current mtd.pointed").count() >= 1
        page.page.keyboard.press("ArrowRight")
    assert checked > 30


def reads_back(text, right):
    """Whether what is written out was computed here; what cannot be, as a sum with dots, is skipped."""
    _, shown, *rest = text.partition("exactly")[0].split(" = ")
    if not rest or "…" in rest[0] or "since" in rest[0]:
        return 0
    written = rest[0].strip().replace("−", "-").replace("·", "*").replace("²", "**2")
    written = re.sub(r"e\^\(", "exp(", written).replace("σ(", "sigma(")
    known = {"exp": math.exp, "tanh": math.tanh, "log": math.log, "max": max,
             "sigma": lambda z: 1 / (1 + math.exp(-z))}  # fmt: skip
    found = eval(written, {"__builtins__": {}}, known)
    scale = max([1e-3, *(abs(float(n)) for n in re.findall(r"\d+\.\d+", written))])
    assert found == pytest.approx(right, abs=2e-3 * scale), (text, right)
    assert as_number(shown.strip()) == pytest.approx(right, rel=6e-4, abs=1e-300)
    return 1


def test_the_studies_are_pointed_at_too(opened):
    page = opened(example("sequence", "rnn"))
    panel = page.page.locator("p.provenance")
    page.page.locator('[data-of="ways:by_jacobian"] mtd').first.click()
    ways = three_ways(example("sequence", "rnn"), *target(page))
    assert reads_back(panel.inner_text(), ways["by_jacobian"][0, 0])
    page.page.locator('[data-of="only 4/1:da"] mtd').first.click()
    assert "∂loss⟨4⟩/∂a⟨1⟩[0, 0] = " in panel.inner_text()
    assert "given" not in panel.inner_text()
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("Home")
    page.page.locator('.moment.current [data-of="W_aa"] mtd').first.click()
    assert "is given" in panel.inner_text()


def target(page):
    data = page.page.locator("#ways").evaluate("e => [e.dataset.t, e.dataset.sequence]")
    return [int(n) for n in data]


def test_a_matrix_is_pointed_at_by_keyboard(opened):
    explanation = example("sequence", "rnn")
    page = opened(explanation, "#t=3:dz_a")
    page.page.locator('.moment.current [data-of="3:dz_a"]').focus()
    for press in ("ArrowRight", "ArrowDown", "ArrowRight"):
        page.page.keyboard.press(press)
    assert "dz_a⟨3⟩[1, 1]" in page.page.locator("p.provenance").inner_text()
    assert page.current() == "t=3:dz_a"
    page.page.keyboard.press("Escape")
    page.page.keyboard.press("ArrowRight")
    assert page.current() != "t=3:dz_a"


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("what", ["x", "y", "W", "a0"])
def test_an_edit_is_recomputed_and_proved(opened, cell, what):
    explanation = example("sequence", cell)
    weight = next(iter(explanation.net.parameters))
    edited = {"x": "1:x", "y": "2:y", "W": weight, "a0": "a0"}[what]
    page = opened(explanation)
    page.edit(edited, 1, 1, 0.37)
    right = changed(explanation, edited, 1, 1, 0.37)
    for moment in right.moments:
        assert close(page.numbers(key(moment), "#steps"), right.value(*moment.key)), moment.label
    verdicts = page.page.locator(".proof tbody td:last-child").all_inner_texts()
    assert len(verdicts) == len(gradients(right))
    assert set(verdicts) == {"right"}
    assert f"{right.tape.loss:.5f}"[:6] in page.page.locator(".changes").inner_text()
    page.page.get_by_role("button", name="back to the numbers").click()
    for moment in explanation.moments:
        assert page.matrix(key(moment), "#steps") == written(explanation, moment), moment.label


def written(explanation, moment):
    return [[number(n) for n in row] for row in explanation.value(*moment.key)]


def changed(explanation, edited, i, j, value):
    """The same calculation with one number changed, by NumPy alone."""
    net = explanation.net.astype("float64")
    net.engine_name = "reference"
    given = {k: v.copy() for k, v in explanation.given.items()}
    name, t = (edited.split(":")[1], int(edited.split(":")[0])) if ":" in edited else (edited, None)
    given[name, t][i, j] = value
    if name == "y":  # of two classes, the other one has the rest
        given[name, t][1 - i, j] = 1 - value
    for parameter in net.parameters:
        net.parameters[parameter] = given[parameter, None]
    X, Y = (np.stack([given[n, t] for t in range(explanation.T)], axis=-1) for n in "xy")
    state = {s: given[f"{s}0", None] for s in net.architecture.step.states}
    batch = net.batch(X, np.zeros(Y.shape[1:], int), state)  # targets may be no one-hot columns
    run = net.run(replace(batch, Y=Y), None)
    return Explanation(net, Tape(run, *run.backward({}, None, inputs=True)))


def test_a_contribution_is_switched_off(opened):
    explanation = example("sequence", "lstm")
    page = opened(explanation)
    page.page.get_by_role("checkbox", name="dc_next").check()
    wrong = explanation.computed(without={"dc_next"})
    for name in gradients(explanation):
        assert close(page.numbers(name, "#steps"), wrong[name, None])
    verdicts = page.page.locator(".proof tbody tr").evaluate_all(
        "rows => rows.map(row => [row.cells[0].textContent, row.cells[3].textContent])"
    )
    assert dict(verdicts)["dW_fa"] == "wrong"
    assert dict(verdicts)["dW_ya"] == "right"


@pytest.mark.parametrize("cell", CELLS)
def test_the_studies_are_right_after_an_edit(opened, cell):
    explanation = example("sequence", cell)
    page = opened(explanation)
    page.edit("b_y", 0, 0, -0.4)
    right = changed(explanation, "b_y", 0, 0, -0.4)
    for (s, t), value in influence(right).items():
        assert close(page.numbers(f"only {s}/{t}:da"), value)
    page.page.locator("#ways-choice select").first.select_option("4")
    page.page.locator("#ways-choice select").last.select_option("1")
    for name, value in three_ways(right, 4, 1).items():
        if name != "identity":
            assert close(page.numbers(f"ways:{name}"), value), name
    off = switched_off(right, "da_next").relative
    for name, relative in off.items():
        text = page.page.locator(f'[data-gradient="{name}"] td').nth(1).inner_text()
        assert (text == "unchanged") == (relative == 0)
        if relative and 0.01 <= relative < 1:
            assert int(re.search(r"\d+", text)[0]) == round(100 * relative)


def test_a_gradient_is_taken_apart(opened):
    explanation = example("sequence", "rnn")
    page = opened(explanation)
    selects = page.page.locator("#products select")
    selects.nth(0).select_option("dW_ax")
    selects.nth(1).select_option("2")
    selects.nth(2).select_option("1")
    rows = page.page.locator("#products tbody tr").evaluate_all(
        "rows => rows.map(row => [...row.cells].slice(1).map(cell => cell.textContent))"
    )
    total = 0.0
    for t in range(5):
        dz_a, x = explanation.value("dz_a", t), explanation.value("x", t)
        for k in range(2):
            product = as_number(rows[t][k].split(" = ")[1])
            assert product == pytest.approx(dz_a[2, k] * x[1, k], rel=1e-3)
            total += product
    assert total == pytest.approx(explanation.value("dW_ax", None)[2, 1], rel=5e-3)


@pytest.mark.parametrize("fragment", ["t=3:dz_a", "t=0:z_a", "dW_aa", "loss"])
def test_a_step_is_linked_to(opened, fragment):
    page = opened(example("sequence", "rnn"), f"#{fragment}")
    assert page.current() == fragment
    bar, article = (page.page.locator(of).bounding_box() for of in ("#walk", ".moment.current"))
    assert bar["y"] >= 0
    assert bar["y"] + bar["height"] <= article["y"] + 1, "the bar does not cover the step"
    page.page.keyboard.press("ArrowLeft")
    assert page.page.url.endswith(f"#{page.current()}")


def test_a_strange_fragment_begins_at_the_beginning(opened):
    page = opened(example("small"), "#%E0%A4%A")
    assert page.current() == "t=0:z_a"


@pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: npm ci in web/")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_axe_finds_nothing(opened, cell, scheme):
    page = opened(example("sequence", cell), "#t=3:da", color_scheme=scheme)
    page.edit("b_y", 0, 0, -0.4)
    page.page.get_by_role("checkbox", name="da_next").check()
    page.page.locator('.moment.current [data-of="3:da"] mtd').first.hover()
    page.page.add_script_tag(path=AXE) if False else page.page.evaluate(
        AXE.read_text(encoding="utf-8")
    )
    found = page.page.evaluate("axe.run()")
    said = [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found["violations"]]
    assert not said


def test_without_a_script_all_is_there(opened):
    explanation = example("sequence", "rnn")
    page = opened(explanation, java_script_enabled=False)
    for moment in explanation.moments:
        article = page.page.locator(f'[id="{moment.label}"]')
        assert article.is_visible()
        assert moment.equation.name in article.get_attribute("id")
    assert page.page.locator("#switched tbody tr").count() == len(gradients(explanation))
    assert not page.page.locator(".script").first.is_visible()


def test_on_paper_all_is_there(opened):
    explanation = example("sequence", "rnn")
    page = opened(explanation)
    page.page.emulate_media(media="print")
    assert all(
        page.page.locator(f'[id="{moment.label}"]').is_visible() for moment in explanation.moments
    )
    assert not page.page.locator("#walk").is_visible()
    assert page.page.pdf()[:4] == b"%PDF"


@pytest.mark.parametrize("width", [360, 800, 1600])
def test_nothing_is_wider_than_the_window(opened, width):
    page = opened(example("sequence", "lstm"), viewport={"width": width, "height": 800})
    for press in ("", "End"):
        if press:
            page.page.keyboard.press(press)
        assert page.page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_large_one_says_what_it_shows(opened):
    sizes = {"n_x": 10, "n_a": 64, "n_y": 10, "m": 16, "T": 32}
    explanation = read_example("sequence", "lstm", sizes=sizes)
    page = opened(explanation)
    assert "Of the 64 hidden units" in page.page.locator(".notes").inner_text()
    page.page.keyboard.press("End")
    page.page.locator('.moment.current [data-of="dc0"] mtd').first.hover()
    assert "dc_prev" in page.page.locator("p.provenance button").first.get_attribute("title")
    page.edit("b_y", 0, 0, 0.5)
    right = changed(explanation, "b_y", 0, 0, 0.5)
    assert f"{right.tape.loss:.5f}"[:6] in page.page.locator(".changes").inner_text()


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_steps_that_are_not_shown_break_nothing(opened, activation):
    sizes = {"n_x": 2, "n_a": 3, "n_y": 2, "m": 2, "T": 30}
    one = read_example("sequence", sizes=sizes)
    net = un.Network("rnn", n_x=2, n_a=3, n_y=2, activation=activation)
    explanation = un.explain(net, one.tape["x"], np.argmax(one.tape["y"], axis=0))
    page = opened(explanation)
    steps = [
        int(t) for t in re.findall(r"t = (\d+)", page.page.locator(".board thead").inner_text())
    ]
    behind = next(t for n, t in enumerate(steps) if t != n)
    rows = page.page.locator("#products tbody tr").all_inner_texts()
    assert len(rows) == len(steps) + 1
    assert not [row for row in rows if "NaN" in row or "∞" in row]
    assert "Σ of all steps" in rows[-1]
    page.page.evaluate(f"location.hash = 't={behind}:z_a'")
    page.page.locator(".moment.current [data-of] mtd").first.hover()
    page.page.locator("p.provenance button.entry").nth(1).click()
    before = page.page.locator("p.provenance").inner_text()
    assert f"a⟨{behind - 1}⟩[0, 0]" in before, "of a step that is not shown, and yet told"


def test_a_condition_that_cannot_be_known_is_told_whole(opened, tmp_path):
    """What it is made from is carried only in part, so which of the two values it chooses is not known."""
    forward, backward, _ = CASES["where with a bias, before the loop"]
    path = tmp_path / "odd.py"
    path.write_text(_cell(forward, backward), encoding="utf-8")
    sizes = {"n_x": 1000, "n_a": 121, "n_y": 2, "m": 1, "T": 2}
    page = opened(read_example("sequence", str(path), sizes=sizes), "#t=0:q")
    assert "too large to be changed" in page.page.locator(".notes").inner_text()
    page.page.locator(".moment.current [data-of] mtd").first.hover()
    told = page.page.locator("p.provenance").inner_text()
    assert " if 0 < " in told
    assert ", else 0.5" in told


WRONG = """
import numpy as np

def forward(X, Y, a0, p):
    a, A, P, loss = a0, [], [], 0.0
    for t in range(X.shape[2]):
        a = np.tanh(p["Waa"] @ a + p["Wax"] @ X[:, :, t] + p["ba"])
        z = p["Wya"] @ a + p["by"]
        z = z - z.max(axis=0)
        log_y = z - np.log(np.exp(z).sum(axis=0))
        A.append(a); P.append(np.exp(log_y))
        loss -= np.sum(Y[:, :, t] * log_y) / X.shape[1]
    return loss, A, P

def backward(X, Y, a0, p, A, P):
    g = {k: np.zeros_like(v) for k, v in p.items()}
    da_next = np.zeros_like(a0)
    for t in reversed(range(X.shape[2])):
        dz_y = (P[t] - Y[:, :, t]) / X.shape[1]
        g["Wya"] += dz_y @ A[t].T
        g["by"] += dz_y.sum(axis=1, keepdims=True)
        da = p["Wya"].T @ dz_y + da_next
        dz = (1 - A[t]) ** 2 * da  # <script>document.title = "taken"</script>
        g["Waa"] += dz @ (A[t - 1] if t else a0).T
        g["Wax"] += dz @ X[:, :, t].T
        g["ba"] += dz.sum(axis=1, keepdims=True)
        da_next = p["Waa"].T @ dz
    return g
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checked")
    (folder / "my_rnn.py").write_text(WRONG, encoding="utf-8")
    result = unrolled("check", "my_rnn.py", "-o", "page.html", cwd=folder)
    assert result.returncode == 1
    return folder / "page.html"


def test_a_checked_program_opens_at_its_first_mistake(browser, checked):
    page = Opened(browser, checked)
    T = max(int(n) for n in re.findall(r"T = (\d+)", page.page.locator(".facts").inner_text()))
    assert page.current() == f"t={T - 1}:dz_a"
    article = page.page.locator(".moment.current")
    assert "wrong" in article.get_attribute("class")
    assert "(1 - A[t]) ** 2 * da" in article.locator(".code.yours").inner_text()
    assert article.locator("mtd.off").count() > 3
    a, da = (page.numbers(f"{T - 1}:{name}", ".moment.current") for name in ("a", "da"))
    shown = article.locator(".theirs mtable").first.evaluate(
        "table => [...table.children].map(row => [...row.children].map(c => c.textContent))"
    )
    yours = np.array([[as_number(text) for text in row] for row in shown])
    assert np.allclose(yours, (1 - a) ** 2 * da, atol=2e-3 * np.abs(yours).max())
    page.page.keyboard.press("ArrowRight")
    article = page.page.locator(".moment.current")
    assert "follows" in article.get_attribute("class")
    hatched = article.locator(".theirs").evaluate("e => getComputedStyle(e).backgroundImage")
    assert "repeating-linear-gradient" in hatched
    before = page.page.locator(f'[id="t={T - 1}:da"]')
    assert not {"wrong", "follows"} & set(before.get_attribute("class").split())
    assert not page.complaints
    assert page.page.title().endswith("Unrolled")


def test_hostile_text_stays_text(opened, tmp_path):
    hostile = '</script><script>document.title="taken"</script><img src=x onerror=alert(1)>'
    explanation = replace(example("small"), title=hostile, notes=(hostile,), labels=(hostile,))
    page = opened(explanation)
    assert hostile in page.page.title()
    assert page.page.locator("h1").inner_text() == hostile
    assert page.page.locator("img").count() == 0


def test_shortened_is_a_calculation_of_its_own(opened):
    explanation = shortened(example("sequence", "gru"), 1, 2)
    page = opened(explanation)
    page.page.keyboard.press("End")
    assert close(page.numbers("da0", "#steps"), explanation.value("da0", None))


def proofs(page):
    rows = page.page.locator(".proof tbody tr").evaluate_all(
        "rows => rows.map(row => [row.cells[0].textContent, row.cells[3].textContent])"
    )
    return dict(rows)


def test_a_right_gradient_on_a_kink_is_not_called_wrong(opened):
    """Where z_a is exactly 0, relu has two slopes, and central differences take the middle of them."""
    net = un.Network("rnn", n_x=2, n_a=3, n_y=2, activation="relu", seed=1)
    explanation = un.explain(net, np.zeros((2, 2, 3)), np.array([[0, 1, 1], [1, 0, 0]]))
    page = opened(explanation)
    page.edit("b_y", 0, 0, 0.37)
    verdicts = proofs(page)
    assert verdicts["db_a"] == "not testable: on a kink"
    assert verdicts["db_y"] == "right"
    assert "wrong" not in verdicts.values()
    page.page.get_by_role("checkbox", name="da_y").check()
    assert proofs(page)["db_y"] == "right"


def test_what_a_large_loss_hides_is_not_called_zero(opened):
    explanation = example("small")
    net = explanation.net.astype("float64")
    net.parameters["W_ya"][0, 0] = 1e300
    state = {"a": explanation.given["a0", None]}
    page = opened(un.explain(net, explanation.tape["x"], np.array([[1, 0, 0]]), state))
    page.edit("b_y", 1, 0, 0.37)
    assert np.any(page.numbers("db_y", "#steps"))
    assert proofs(page)["db_y"] == "not testable: too small"


def test_without_a_number_nothing_is_said_to_be_0(opened):
    net = un.Network("rnn", n_x=2, n_a=3, n_y=2, activation="relu")
    net.parameters["W_aa"][0, 0] = net.parameters["W_ya"][0, 0] = 1e300
    X = np.random.default_rng(0).standard_normal((2, 2, 3))
    page = opened(un.explain(net, X, np.array([[0, 1, 1], [1, 0, 0]])))
    table = page.page.locator("#switched table")
    assert "not a number" in table.inner_text()
    assert "0 both ways" not in table.inner_text()
    page.edit("b_y", 0, 0, 0.37)
    assert "not a number" in table.inner_text()
    assert "0 both ways" not in table.inner_text()


@pytest.mark.parametrize(
    ("key", "typed", "expected"),
    [("W_aa", "abc", "a finite number"), ("W_aa", "", "a finite number"), ("b_a", "1e400", "a finite number"),
     ("b_a", "1,000", "a finite number"), ("b_a", "0x10", "a finite number"),
     ("2:y", "1.5", "a share from 0 to 1"), ("2:y", "<b>", "a finite number")],
)  # fmt: skip
def test_what_is_no_number_is_refused_in_a_sentence(opened, key, typed, expected):
    page = opened(example("sequence", "rnn"))
    field = page.page.locator(f'.inputs input[data-key="{key}"]').first
    before = field.input_value()
    field.fill(typed)
    field.press("Enter")
    said = page.page.locator(".refused").inner_text()
    assert f"“{typed}” is not taken for " in said
    assert said.endswith(f"row 0, column 0: expected {expected}.")
    assert field.get_attribute("aria-invalid") == "true"
    field.press("Tab")
    assert field.input_value() == before
    assert field.get_attribute("aria-invalid") is None, "the number that stands there now is none"
    assert page.page.locator(".changes").count() == 0
    page.edit("W_aa", 1, 1, 0.37)
    assert page.page.locator(".refused").inner_text() == ""


def test_a_step_that_is_not_shown_is_said_to_be(opened):
    sizes = {"n_x": 2, "n_a": 3, "n_y": 2, "m": 1, "T": 30}
    page = opened(read_example("sequence", sizes=sizes), "#t=15:dz_a")
    said = page.page.locator("#walk nav > p[role=status]")
    assert (
        "the step t=15:dz_a of the address is not among those that are shown" in said.inner_text()
    )
    page.page.keyboard.press("ArrowRight")
    assert "not among" not in said.inner_text()
    page.page.evaluate("location.hash = 't=29'")
    page.page.wait_for_function("document.querySelector('.moment.current').id.startsWith('t=29:')")
    assert page.current() == "t=29:z_a", "a step alone, as on the command line: its first equation"


@pytest.mark.parametrize(("cell", "sizes"), [
    ("rnn", None), ("lstm", None), ("rnn", {"n_x": 12, "n_a": 12, "n_y": 3, "m": 4, "T": 3}),
])  # fmt: skip
def test_on_paper_no_number_is_cut_off(opened, cell, sizes):
    """A4 has 718 pixels between its margins, of which Chromium makes 4/3 to 2 times as many, smaller ones."""
    viewport = {"width": 957, "height": 1000}
    page = opened(read_example("sequence", cell, sizes=sizes), viewport=viewport)
    page.page.emulate_media(media="print")
    assert not page.page.get_by_text("All numbers so far").is_visible(), (
        "there is no board on paper"
    )
    wide = page.page.locator("#steps .eq").evaluate_all(
        "all => all.filter(e => e.scrollWidth > 1.25 * e.clientWidth).map(e => e.parentElement.id)"
    )
    assert not wide


def test_where_there_is_no_target_none_can_be_put(opened):
    """Its share of the loss is 0, so the loss would not change, and NumPy's with a target there would."""
    net = un.Network("rnn", n_x=2, n_a=3, n_y=2)
    X = np.random.default_rng(0).standard_normal((2, 2, 3))
    page = opened(un.explain(net, X, np.array([0, 1])))
    page.edit("1:y", 0, 0, 0.3)
    assert page.page.locator(".refused").inner_text().endswith("for there is no target here.")
    assert page.page.locator(".changes").count() == 0
    page.edit("2:y", 0, 0, 0.3)
    assert page.page.locator(".changes").count() == 1
