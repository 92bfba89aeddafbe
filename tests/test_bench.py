"""The benchmark: what it counts, whom it refuses, what it says. No timing is asserted."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from unrolled import threads
from unrolled.benchmark import machine, peers, timing
from unrolled.benchmark.cases import CELLS, SHAPES, Case, Problem, count_flops
from unrolled.benchmark.contenders import Contender, largest_difference, ours
from unrolled.benchmark.measuring import compare
from unrolled.benchmark.peers import jax, pytorch
from unrolled.cli import bench, main
from unrolled.equations.step import build_step
from unrolled.equations.table import record

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))

DTYPES = ("float64", "float32")
SIZES = {"n_x": 3, "n_a": 5, "n_y": 2, "m": 7, "T": 4}


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Products of small matrices, and turns that end at once."""
    monkeypatch.setattr(timing, "_PRODUCTS", (8,))
    monkeypatch.setattr(timing, "_TURN", 1e-9)


def _problem(cell="rnn", dtype="float64"):
    return Problem(Case(cell, dtype=dtype, **SIZES))


@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("gru_reset_after", 3), ("lstm", 4), ("gru", 3)])  # fmt: skip
def test_flops_are_those_counted_by_hand(cell, gates):
    """Forward W_aa a, W_ax x, W_ya a; backward W_aaᵀ dz, dW_aa, dW_ax, W_yaᵀ dz_y, dW_ya."""
    recurrent, inputs, output = 5 * 5 * 7, 5 * 3 * 7, 2 * 5 * 7
    by_hand = 2 * 4 * (gates * (3 * recurrent + 2 * inputs) + 3 * output)
    assert count_flops(record(build_step(cell)), SIZES) == by_hand


def test_flops_of_one_step_in_figures():
    sizes = {"n_x": 1, "n_a": 2, "n_y": 1, "m": 1, "T": 1}
    assert count_flops(record(build_step("rnn")), sizes) == 2 * (3 * 4 + 2 * 2 + 3 * 2)


def test_the_problem_hides_nothing():
    assert len(SHAPES) == 8
    problem = _problem("lstm", "float32")
    assert problem.X.flags.f_contiguous
    assert problem.X.dtype == problem.parameters["W_fa"].dtype == np.float32
    assert all(np.all(value != 0) for n, value in problem.parameters.items() if n[0] == "b")
    for name, value in problem.network("auto").parameters.items():
        assert np.array_equal(value, problem.parameters[name])


def _broken(problem, change, name="fake"):
    contender = ours(problem, "auto")
    return replace(contender, name=name, read=lambda answer: change(answer[0], dict(answer[1])))


def _scaled(factor):
    return lambda loss, gradients: (loss, gradients | {"W_ax": gradients["W_ax"] * factor})


@pytest.mark.parametrize(("change", "tensor"), [
    (_scaled(1 + 1e-7), "W_ax"),
    (_scaled(np.nan), "W_ax"),
    (lambda loss, g: (loss * (1 + 1e-7), g), "loss"),
    (lambda loss, g: (loss, {n: v for n, v in g.items() if n != "b_y"}), "b_y"),
    (lambda loss, g: (loss, g | {"b_a": g["b_a"].T}), "b_a"),
], ids=["scaled", "nan", "loss", "missing", "transposed"])  # fmt: skip
def test_who_computes_something_else_is_not_timed(change, tensor):
    problem = _problem()
    row = compare(problem, [ours(problem, "auto"), _broken(problem, change)], 0.0, 0.0)
    right, wrong = row.entries
    assert right.timing is not None
    assert wrong.timing is None
    assert wrong.difference.tensor == tensor
    assert row.ratio("fake") is row.rate("fake") is None


def test_rounding_is_no_difference():
    problem = _problem("lstm", "float32")
    answer = ours(problem, "auto").run()
    difference = largest_difference(answer, problem.answer())
    assert 0 < difference.value < 1e-5
    assert difference.agrees("float32")
    assert not difference.agrees("float64")


def test_everyone_gets_turns_and_pauses(monkeypatch):
    slept, called = [], []
    monkeypatch.setattr(timing.time, "sleep", slept.append)
    found = timing.alternate([lambda: called.append("a"), lambda: called.append("b")], 0.0, 0.06)
    assert called == ["a", "b"] * 3
    assert slept == [0.06] * 6
    assert [t.calls for t in found] == [3, 3]
    assert timing.Timing.of([0.001, 0.003, 0.002]).milliseconds == pytest.approx(2)


@pytest.mark.parametrize(("flags", "architecture", "setting", "said"), [
    ({"avx2", "avx512f"}, "Haswell", None, "may help; nothing is set for you"),
    ({"avx2", "avx512f"}, "Zen", None, "OPENBLAS_CORETYPE=SkylakeX"),
    ({"avx2", "avx512f"}, "Haswell", "Haswell", "OPENBLAS_CORETYPE=Haswell is set, and is left"),
    ({"avx2", "avx512f"}, "SkylakeX", None, None),
    ({"avx2", "avx512f"}, "Cooperlake", None, None),
    ({"avx2"}, "Haswell", None, None),
    ({"avx512f"}, "", None, None),
    (set(), "armv8", None, None),
])  # fmt: skip
def test_an_old_architecture_on_a_new_processor_is_remarked(flags, architecture, setting, said):
    remark = machine.coretype_remark(flags, architecture, setting)
    assert (remark is None) if said is None else (said in remark)


def test_the_machine_is_described():
    here = machine.describe(1, {"PyTorch": "2"})
    assert here["processor"]
    assert threads.usual_threads() >= 1
    assert list(here["versions"]) == ["unrolled", "Python", "NumPy", "PyTorch"]
    assert here["blas"]["name"]


def _fake_peer(change):
    return SimpleNamespace(
        title="Other", package="json", prepare=lambda threads: "1.0",
        contender=lambda problem: _broken(problem, change, "Other"),
    )  # fmt: skip


def _run(monkeypatch, capsys, *arguments, with_peers=()):
    missing = SimpleNamespace(title="Absent", package="no_such_package")
    monkeypatch.setattr(peers, "all_peers", lambda: [*with_peers, missing])
    arguments = ["--shapes", "3,5,2,7,4", "--seconds", "0.01", "--no-pause", *arguments]
    status = bench.command.main(arguments, standalone_mode=False)
    return status, capsys.readouterr().out


def test_the_command_in_text(monkeypatch, capsys):
    status, text = _run(monkeypatch, capsys)
    assert status == 0
    for words in ("Peak of float32", "Medians of", "3, 5, 2, 7, 4", "no pause",
                  "Not compared: Absent, which is not installed: pip install no_such_package",
                  *(f"{cell}, {dtype}" for cell in CELLS for dtype in DTYPES)):  # fmt: skip
        assert words in text


def test_the_command_in_json(monkeypatch, capsys):
    peer = _fake_peer(lambda loss, gradients: (loss, gradients))
    arguments = ["--format", "json", "--cell", "lstm", "--cell", "gru", "--dtype", "float64"]
    status, text = _run(monkeypatch, capsys, *arguments, with_peers=[peer])
    data = json.loads(text)
    assert status == 0
    assert data["schema"] == 1
    assert data["planned"] == len(data["cases"]) == 2
    assert data["machine"]["versions"]["Other"] == "1.0"
    assert data["pause_seconds"] == 0
    assert data["peaks_gflops"]["float64"]["NumPy"] > 0
    for case in data["cases"]:
        first, other = case["results"]
        assert first["ratio"] == 1
        assert other["ratio"] == other["timing"]["milliseconds"] / first["timing"]["milliseconds"]
        assert other["share_of_peak"] > 0
        assert other["difference"] <= 1e-9
    overall = [m for m in data["geometric_means"] if m["cell"] is None]
    ratios = [case["results"][1]["ratio"] for case in data["cases"]]
    assert overall[0]["ratio"] == pytest.approx(np.sqrt(np.prod(ratios)))


def test_the_command_says_who_computes_something_else(monkeypatch, capsys):
    status, text = _run(
        monkeypatch, capsys, "--cell", "rnn", "--dtype", "float64", with_peers=[_fake_peer(_scaled(2))]
    )  # fmt: skip
    assert status == 1
    assert "Other computes something else in rnn float64 (3, 5, 2, 7, 4)" in text
    assert "its W_ax differs by 1.0e+00" in text


def test_the_page_and_its_pictures(monkeypatch, capsys, tmp_path):
    page = tmp_path / "performance.md"
    _run(monkeypatch, capsys, "--cell", "rnn", "--write", str(page))
    text = page.read_text(encoding="utf-8")
    assert "## rnn, float32" in text
    for name in ("performance-ratio.png", "performance-share.png"):
        assert f"(images/{name})" in text
        assert (tmp_path / "images" / name).read_bytes().startswith(b"\x89PNG")


def test_ctrl_c_prints_what_was_measured_and_replaces_no_page(monkeypatch, capsys, tmp_path):
    page = tmp_path / "performance.md"
    page.write_text("before")
    measure, cases = bench.measure, []

    def stopped(case, *arguments):
        cases.append(case)
        if len(cases) == 2:
            raise KeyboardInterrupt
        return measure(case, *arguments)

    monkeypatch.setattr(bench, "measure", stopped)
    monkeypatch.setattr(peers, "all_peers", list)
    arguments = ["--shapes", "3,5,2,7,4", "--seconds", "0", "--no-pause", "--write", str(page)]
    monkeypatch.setattr(sys, "argv", ["unrolled", "bench", *arguments])
    assert main._run() == 130
    said = capsys.readouterr()
    assert said.err.strip() == f"unrolled: stopped after 1 of 6 cases; {page} was not written"
    assert "Stopped after 1 of 6 cases" in said.out
    assert "rnn, float32" in said.out
    assert page.read_text() == "before"


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", ["rnn", "lstm"])
def test_what_is_written_by_hand_agrees_with_the_reference(cell, dtype):
    """Twice, for its buffers are used again."""
    handwritten = importlib.import_module("handwritten")
    problem = _problem(cell, dtype)
    kind = {"rnn": handwritten.RNN, "lstm": handwritten.LSTM}[cell]
    by_hand = kind(problem.parameters, SIZES["m"], SIZES["T"])
    first = by_hand.loss_and_gradients(problem.X, problem.Y)
    by_hand.loss_and_gradients(problem.X + 1, problem.Y)
    for answer in (first, by_hand.loss_and_gradients(problem.X, problem.Y)):
        difference = largest_difference(answer, problem.answer())
        assert difference.value < {"float64": 1e-13, "float32": 1e-5}[dtype], difference
        assert all(value.dtype == dtype for value in answer[1].values())


def _agrees(peer, cell, dtype):
    peer.prepare(1)
    problem = _problem(cell, dtype)
    contender: Contender = peer.contender(problem)
    right = problem.answer()
    for _ in range(2):
        difference = largest_difference(contender.read(contender.run()), right)
        if difference.value > {"float64": 1e-13, "float32": 1e-5}[dtype]:
            return False
    return True


@pytest.mark.torch
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
def test_pytorch_computes_the_same(cell, dtype):
    assert _agrees(pytorch, cell, dtype)
    assert pytorch.contender(_problem("gru")) is None


@pytest.mark.torch
def test_an_update_gate_that_is_not_the_complement_is_found(monkeypatch):
    monkeypatch.setattr(pytorch, "_sign", lambda gate: 1)
    assert not _agrees(pytorch, "gru_reset_after", "float64")


@pytest.mark.skipif(not peers.is_installed(jax), reason="JAX is not installed")
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("cell", CELLS)
def test_jax_computes_the_same(cell, dtype):
    assert _agrees(jax, cell, dtype)
    assert jax.contender(_problem("gru")) is None
