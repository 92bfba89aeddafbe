"""Values and gradients against PyTorch: stored ones always, live ones where it is installed."""

from pathlib import Path

import numpy as np
import pytest
from problems import Problem, assert_close, cells, problem

from unrolled.engines import engine_names

GOLDEN = np.load(Path(__file__).parent / "golden" / "golden.npz", allow_pickle=False)
CELLS = list(cells())


def _check(p: Problem, expected):
    loss, gradients = p.net.loss_and_gradients(*p.arguments, inputs=True)
    run = p.net.forward(p.X, p.state)
    assert_close(loss, expected["loss"], 13)
    for name in ("a", "y_hat"):
        assert_close(run[name], expected[name], 13)
    for name, final in run.state.items():
        assert_close(final, expected[f"{name}_T"], 13)
    for name, gradient in gradients.items():
        assert_close(gradient, expected[f"d{name}"])


@pytest.mark.parametrize("engine", engine_names())
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_stored_values(cell, activation, engine):
    prefix = f"{cell}/{activation}/"
    stored = {key.removeprefix(prefix): GOLDEN[key] for key in GOLDEN if key.startswith(prefix)}
    p = problem(cell, activation, seed=11, engine=engine)
    p.net.parameters = {name: np.asfortranarray(stored[name]) for name in p.net.parameters}
    p.X, p.Y, p.state = stored["x"], stored["y"], {s: stored[f"{s}0"] for s in p.state}
    _check(p, stored)


def test_every_stored_cell_is_tested():
    assert {tuple(key.split("/")[:2]) for key in GOLDEN} == {(c, str(a)) for c, a in CELLS}


@pytest.mark.torch
@pytest.mark.parametrize("sizes", [
    {}, {"T": 1}, {"m": 1}, {"T": 1, "m": 1, "n_a": 9}, {"n_x": 6, "n_a": 6, "n_y": 6, "m": 6, "T": 6},
    {"T": 50, "n_a": 20},
], ids=str)  # fmt: skip
@pytest.mark.parametrize("engine", engine_names())
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_live(cell, activation, engine, sizes):
    pytest.importorskip("torch")
    from torch_oracle import run

    p = problem(cell, activation, engine=engine, seed=21, **sizes)
    p.Y[0, 0] = 0
    _check(p, run(p))


@pytest.mark.torch
@pytest.mark.parametrize(("cell", "activation"), CELLS)
def test_a_cell_file_runs_on_tensors(cell, activation):
    """The cell's own forward, on tensors, and PyTorch's autograd of it."""
    torch = pytest.importorskip("torch")
    p = problem(cell, activation, seed=8)
    _, gradients = p.net.loss_and_gradients(*p.arguments, inputs=True)
    leaves = {
        n: torch.tensor(np.ascontiguousarray(v), requires_grad=True) for n, v in p.values().items()
    }
    state, loss = {s: leaves[f"{s}0"] for s in p.state}, 0.0
    y = torch.nn.functional.one_hot(torch.tensor(p.Y + 1), 3)[:, :, 1:].double()
    for t in range(4):
        known = {name: leaves[name] for name in p.net.parameters}
        known |= {f"{s}_prev": value for s, value in state.items()} | {"x": leaves["x"][:, :, t]}
        omega = torch.tensor((p.Y[None, :, t] >= 0) / (p.Y >= 0).sum())
        computed = p.net.architecture.step.whole.forward(known | {"y": y[:, t].T, "omega": omega})
        state, loss = {s: computed[s] for s in state}, loss + computed["loss"]
    loss.backward()
    for name, leaf in leaves.items():
        assert_close(gradients[name], leaf.grad.numpy())
