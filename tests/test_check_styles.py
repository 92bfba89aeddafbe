"""Programs in several hands, right ones and with one mistake made in them: what is found first, and where."""

from pathlib import Path

import pytest

from unrolled.checking.examine import examine
from unrolled.checking.printing.formats import to_json

THEIRS = Path(__file__).parent / "their_code"

# file: [(what stands there, what is written in its place, the first quantity that is wrong, the cause)]
MISTAKES = {
    "gates_in_a_loop": [
        ("xs[t], H[t], C[t]", "xs[t], H[t - 1], C[t - 1]", "a_prev", "other_step"),
        ('dh_next += p["U"', 'dh_next = p["U"', "da_prev", "only_term"),
        ("while t >= 0:", "while t > 0:", "dz_y", "step_left_out"),
        ('delta["o"] = dh * tc', 'delta["o"] = dc * tc', "do", "neighbour"),
    ],
    "layer_in_rows": [
        ("i = sigmoid(A[:, 2 * H : 3 * H])", "i = sigmoid(A[:, H : 2 * H])", "i", "neighbour"),
        ("dc_t * g * i * (1 - i)", "dc_t * g * g * (1 - i)", "dz_i", "neighbour"),
    ],
    "rows_at_once": [
        ("return 0.5 * np.sum", "return np.sum", "loss", "scale"),
        ('h[:, 1:], params["Wy"]', 'h[:, :-1], params["Wy"]', "y_hat", "other_step"),
        ("dy = (y_hat - y) / (N * T)", "dy = (y - y_hat) / (N * T)", "dy_hat", "other_sign"),
    ],
    "functions_of_globals": [
        ("d_h - d_h * H[k + 1] *", "d_h - H[k + 1] *", "dz_a", "bracket"),
        ("return total / batch", "return total", "loss", "scale"),
    ],
    "one_function": [
        ("dlogits[rows, labels[:, t]] -= 1\n        dlogits /= N",
         "dlogits /= N\n        dlogits[rows, labels[:, t]] -= 1", "dz_y", "bracket"),
    ],
    "script_of_lists": [
        ("logits = s[t + 1] @ V + c", "logits = s[t] @ V + c", "z_y", "other_step"),
        ("dV += s[t + 1].T", "dV += s[t].T", "dW_ya", "other_step"),
    ],
    "cells_and_sums": [
        ('dWra = dWra + gradients["dWra"]', 'dWra = gradients["dWra"]', "dW_ra", "overwritten"),
        ("gru_cell_forward(x[:, :, t], a_prev,", "gru_cell_forward(x[:, :, t], a[:, :, t - 1],", "a_prev",
         "initial_state"),
    ],
    "keys_of_their_own": [
        ("grads[\"trans\"] += prev.T", "grads[\"trans\"] += H[:, t].T", "dW_aa", "other_step"),
    ],
    "gru_two_joined": [
        ("np.vstack((dar, daz))", "np.vstack((daz, dar))", "dz_r", "neighbour"),
        ("+ dhx[:H]", "", "da_prev", "missing_term"),
    ],
    "lstm_three_joined": [
        ("dc * g * i * (1 - i)", "dc * c_old * i * (1 - i)", "dz_i", "neighbour"),
    ],
    "gru_of_vectors": [
        ("dr = drs * s * r * (1 - r)", "dr = drs * r * (1 - r)", "dz_r", "neighbour"),
    ],
    "step_pullbacks": [
        ("dz = ds * (1 - new**2)", "dz = ds * (1 - s**2)", "dz_a", "other_step"),
    ],
    "gru_functions_in_dict": [
        ("daz = dh * (hh - h_prev)", "daz = dh * (h_prev - hh)", "du", "other_sign"),
    ],
    "layers_that_remember": [
        ("return d / len(self.labels)", "return d", "dz_y", "scale"),
        ("self.dW += dout.T @ x", "self.dW = dout.T @ x", "dW_aa", "overwritten"),
    ],
    "gru_torch_functions": [
        ("n_raw * inner * r", "n_raw * state * r", "dr", "neighbour"),
    ],
    "learned_start": [
        ("self.da0 = da_next.sum(axis=1", "self.da0 = da_next.mean(axis=1", "da0", "scale"),
    ],
    "einsum_of_letters": [
        ('"bj,jk->bk"', '"bj,kj->bk"', "da_prev", "transposed"),
        ('dz.sum((0, 1))', 'dz.sum(1)', "db_a", "not_summed"),
    ],
    "weights_with_methods": [
        ("dc_next = dc * k.f", "dc_next = dc * k.i", "dc_prev", "neighbour"),
    ],
    "series_of_one": [
        ("S[t].T.dot(da)", "S[t + 1].T.dot(da)", "dW_aa", "other_step"),
    ],
    "sizes_by_use": [
        ("d[gold[t]] -= 1\n", "d[gold[t]] += 1\n", "dz_y", "other_sign"),
    ],
}  # fmt: skip
CASES = [(name, *case) for name, cases in MISTAKES.items() for case in cases]


@pytest.mark.parametrize("name", MISTAKES)
def test_a_right_program_is_right(name):
    report = examine(THEIRS / f"{name}.py")
    assert (report.verdict, report.findings) == ("right", ())
    assert report.proved


@pytest.mark.parametrize(("name", "right", "wrong", "quantity", "cause"), CASES)
def test_a_mistake_is_found_where_it_is_made(tmp_path, name, right, wrong, quantity, cause):
    text = (THEIRS / f"{name}.py").read_text()
    assert right in text
    changed = text.replace(right, wrong)
    lines = [
        k
        for k, (a, b) in enumerate(zip(text.split("\n"), changed.split("\n"), strict=False), 1)
        if a != b
    ]
    file = tmp_path / "theirs.py"
    file.write_text(changed)
    first = examine(file).findings[0]
    assert (first.quantity, first.cause.id, first.cause.certainty) == (quantity, cause, "exact")
    assert first.line in range(lines[0] - 1, lines[0] + 2)


def test_a_state_that_no_step_hands_on_is_found_where_it_is_read(tmp_path):
    text = (THEIRS / "gru_torch_functions.py").read_text()
    assert "        state = after\n" in text
    file = tmp_path / "theirs.py"
    file.write_text(text.replace("        state = after\n", ""))
    report = examine(file)
    first = report.findings[0]
    assert (first.quantity, first.cause.id, first.cause.certainty) == (
        "a_prev",
        "not_carried",
        "exact",
    )
    assert "b = state @" in first.source
    assert len(report.findings) == 1


def test_json_names_what_lies_between_two_quantities_by_the_one_that_is_made_from_it(tmp_path):
    text = (THEIRS / "gates_in_a_loop.py").read_text()
    file = tmp_path / "theirs.py"
    file.write_text(text.replace('delta["o"] = dh * tc', 'delta["o"] = dc * tc'))
    report = examine(file)
    assert report.findings[0].quantity == "do"
    assert '"quantity": "dz_o"' in to_json([report])
