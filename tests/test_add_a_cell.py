"""A cell is one file: a peephole LSTM, with no other line, trains, is proved and is printed."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from problems import assert_close, complex_step, problem

import unrolled as un
from unrolled import cells
from unrolled.cells import load_cell
from unrolled.cli.main import _run
from unrolled.errors import UnrolledError
from unrolled.training.tasks.text import text_dataset

FILE = Path(__file__).parent / "peephole_lstm.py"


@pytest.fixture(params=["by its path", "in the folder"])
def peephole(request, tmp_path, monkeypatch):
    if request.param == "by its path":
        return str(FILE)
    shutil.copy(FILE, tmp_path / "peephole_lstm.py")
    monkeypatch.setattr(cells, "__path__", [*cells.__path__, str(tmp_path)])
    assert "peephole_lstm" in un.cell_names()
    return "peephole_lstm"


def test_gradients(peephole):
    p = problem(peephole)
    for name in ("p_f", "p_i", "p_o"):
        p.net.parameters[name] += 0.3
    assert un.gradient_check(p.net, *p.arguments).passed
    _, gradients = p.net.loss_and_gradients(*p.arguments, inputs=True)
    for name in ("p_o", "c0"):
        expected = complex_step(lambda v: p.run(v).loss, p.values(), name)
        assert_close(gradients[name], expected)


def test_without_peepholes_it_is_the_lstm(peephole):
    p, lstm = problem(peephole), problem("lstm")
    p.net.parameters |= {name: value.copy() for name, value in lstm.net.parameters.items()}
    for name in ("p_f", "p_i", "p_o"):
        p.net.parameters[name][:] = 0
    assert_close(p.net.forward(lstm.X, lstm.state)["a"], lstm.net.forward(lstm.X, lstm.state)["a"])


def test_equations_and_gradcheck_commands(peephole, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["unrolled", "equations", peephole, "--format", "json"])
    assert _run() == 0
    data = json.loads(capsys.readouterr().out)
    assert data["cell"] == "peephole_lstm"
    assert "Gers and Schmidhuber 2000" in data["source"]
    texts = {e["name"]: e["text"] for e in data["equations"] if e["direction"] == "backward"}
    assert texts["dp_o"] == "dp_o⟨t⟩ = Σ_m dz_o⟨t⟩ ∘ c⟨t⟩"
    monkeypatch.setattr("sys.argv", ["unrolled", "gradcheck", peephole])
    assert _run() == 0
    assert "All 20 gradients are right." in capsys.readouterr().out


def _broken(tmp_path, old, new):
    path = tmp_path / "broken.py"
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(("old", "new", "words"), [
    ("da = da_y + da_next", "da_y += da_next\n    da = da_y", "in place"),
    ("tanh_c = tanh(c)", "tanh_c = c.clip(-1, 1)", "has no .clip here"),
    ("tanh_c = tanh(c)", "tanh_c = tan(c)", "name 'tan' is not defined"),
    ('"dW_fx": dz_f @ x.T', '"dW_fx": x @ dz_f.T', "dW_fx has shape (n_x, n_a)"),
    ('"dW_fx": dz_f @ x.T', '"dWfx": dz_f @ x.T', "backward does not return dW_fx"),
    ('"dc_prev": ', '"dc_previous": ', "backward does not return dc_prev"),
    ("x, a_prev, c_prev, f, i,", "x, a_prv, c_prev, f, i,", "asks for 'a_prv'"),
    ('return {"f": f', 'return 1, {"f": f', "returns tuple"),
    ('"tanh_c": tanh_c, "a": a', '"tanh_c": tanh_c', "forward does not return a"),
    ('"tanh_c": tanh_c,', '"tanh_c": tanh_c, "x": 2 * x,', "returns x, which is given"),
    ('"tanh_c": tanh_c,', '"tanh_c": tanh_c, "W_fa": 2 * W_fa,', "returns W_fa, which is given"),
    ('"tanh_c": tanh_c,', '"tanh_c": tanh_c, "a_prev": c,', "returns a_prev, which is given"),
    ('"tanh_c": tanh_c,', '"tanh_c": tanh_c, "omega": c,', "returns omega, which is given"),
    ('"tanh_c": tanh_c,', '"tanh_c": tanh_c, "y_hat": c,',
     "returns y_hat, which is computed by broken"),
    ('"tanh_c": tanh_c,', '"tanh_c": tanh_c, 3: c,', "returns 3, which is no name"),
    ("tanh_c = tanh(c)", "raise SystemExit(3)", "forward, line"),
    ("tanh_c = tanh(c)", "tanh_c = tanh(c) if c.shape[1] == 7 else c", "has no .shape here"),
])  # fmt: skip
def test_a_cell_that_breaks_the_rules_makes_no_network(tmp_path, old, new, words):
    with pytest.raises(UnrolledError) as refusal:
        un.Network(_broken(tmp_path, old, new), n_x=5, n_a=5, n_y=2)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_changed_file_is_taken_as_it_is_now(tmp_path, monkeypatch):
    """Not as it was a moment ago: no compiled file is kept beside it."""
    monkeypatch.setattr("sys.dont_write_bytecode", False)
    path, text = tmp_path / "mine.py", FILE.read_text(encoding="utf-8")
    losses = []
    for bias in ("1.0", "2.0", "1.0"):
        path.write_text(text.replace('{"b_f": 1.0}', f'{{"b_f": {bias}}}'), encoding="utf-8")
        losses.append(un.Network(path, n_x=3, n_a=5, n_y=2).parameters["b_f"][0, 0])
    assert losses == [1.0, 2.0, 1.0]
    assert list(tmp_path.iterdir()) == [path]


def test_it_trains_and_is_saved(peephole, tmp_path):
    text = "to be or not to be, that is the question: " * 30
    data = text_dataset(text, False, 4, 10, 0.0, 0, "")
    net = data.network(peephole, 12)
    history = un.train(net, data, steps=60, optimiser=un.Adam(0.03))
    n, losses = net.sizes["n_x"], [update.loss for update in history.updates]
    assert losses[-1] < losses[0] / 2
    un.save(net, tmp_path / "model.safetensors")
    again = un.load(tmp_path / "model.safetensors", cell=peephole)
    X = np.arange(n)[None]
    assert np.array_equal(again.forward(X)["y_hat"], net.forward(X)["y_hat"])


@pytest.mark.parametrize(("old", "new", "words"), [
    ('source = "', 'origin = "', "lacks 'source'"),
    ("def forward(\n    x, a_prev", "def forward(\n    x, a_before", "take a_prev"),
    ("da_y, da_next, dc_next, x", "da_y, da_next, x", "has to take dc_next"),
    ('"c": "n_a m",', "", "state 'c' is not in shapes"),
    ('"p_f": "n_a 1",', "", "forward asks for 'p_f', which is not in shapes"),
    ("def forward(", "def forward(:", "line "),
    ("import over_batch, sigmoid, tanh", "import over_bach", "cannot be run"),
    ("import over_batch, sigmoid, tanh", "import over_batch, sigmoid, tanh\nimport sys\nsys.exit(3)",
     "SystemExit"),
    ('"b_f": "n_a 1"', '"b_f": "n_a"', "the shape of b_f is 'n_a'"),
    ('"b_f": "n_a 1"', '"b_f": "n_q 1"', "the shape of b_f is 'n_q 1'"),
    ('"b_f": "n_a 1"', '"b_f": 5', "the shape of b_f is 5"),
    ('"c": "n_a m"', '"c": "n_x m"', "the shape of c is 'n_x m', expected 'n_a m'"),
    ('"x": "n_x m"', '"x": "m n_x"', "the shape of x is 'm n_x', expected 'n_x m'"),
    ('"b_f": "n_a 1"', '"b_f": "n_a m"', "a parameter has no batch axis m"),
    ("initial = {", 'initial = {"b_i": "one"}\nolder = {', "expected a dictionary of numbers"),
    ("initial = {", 'initial = ["b_i"]\nolder = {', "expected a dictionary of numbers"),
    ("initial = {", 'initial = {"b_i": float("nan")}\nolder = {', "a dictionary of numbers"),
    ("def backward(", "forward = dict\n\n\ndef backward(", "have to be functions"),
    ('initial = {"b_f"', 'initial = {"b_g"', "initial names 'b_g'"),
    ("initial = {", 'activations = "tanh"\ninitial = {', "activations is 'tanh'"),
    ("initial = {", 'activations = ("tanh",)\ninitial = {', "takes an activation g"),
])  # fmt: skip
def test_a_file_that_is_no_cell_says_why(tmp_path, old, new, words):
    with pytest.raises(UnrolledError) as refusal:
        load_cell(_broken(tmp_path, old, new))
    assert words in str(refusal.value)
    assert "broken" in str(refusal.value)
