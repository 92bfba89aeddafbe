"""Their program beside the right calculation: `unrolled check my_rnn.py -o page.html`."""

import ast
import functools
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from test_check_core import BINDING, DX, ODD
from test_check_core import program as rendered

from unrolled.checking.binding import load_binding
from unrolled.checking.collecting import collect
from unrolled.checking.examine import examined
from unrolled.checking.recognising import same
from unrolled.checking.sandbox.process import walked
from unrolled.checking.sources import Source
from unrolled.checking.walk import Walk
from unrolled.cli.main import _run
from unrolled.equations.evaluation import label_of
from unrolled.explaining.checked import explained

THEIRS = Path(__file__).parent / "their_code"


def program(name, *edits):
    """A program of theirs with some of its text replaced."""
    text = (THEIRS / f"{name}.py").read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new)
    return text


@functools.cache
def shown(text, binding=""):
    """The report on a program and its explanation, by way of JSON as from the sandbox."""
    bound = load_binding(Source("binding.py", binding)) if binding else None
    report, checks = examined("theirs.py", text, bound)
    walk = collect(checks, report.findings)
    return report, explained(Walk.from_dict(json.loads(json.dumps(walk.to_dict()))), "theirs.py")


# Each of these runs a program by hand on an explanation's numbers. It returns what the program has at some
# keys, which the recording lines have put into `seen`, and the totals that it returns, in the legend's layout.


def rows(explanation, name):
    """(T, m, n): a quantity at all steps."""
    return np.stack([explanation.value(name, t).T for t in range(explanation.T)])


def parameters(explanation, *names):
    """Weights for row vectors, and flat biases."""
    given = [explanation.value(name, None) for name in names]
    return [
        value.T if name[0] == "W" else value[:, 0] for name, value in zip(names, given, strict=True)
    ]


def by_hand_rnn_rows(space, e):
    names = ("W_ax", "W_aa", "b_a", "W_ya", "b_y")
    p = parameters(e, *names)
    inputs, targets = rows(e, "x"), rows(e, "y")
    outputs, states = space["rnn"](inputs, (e.value("a0", None).T,), p)
    found = space["rnn_backward"](inputs, targets, outputs, states, p)
    return {(f"d{n}", None): np.atleast_2d(g).T for n, g in zip(names, found, strict=True)}


def by_hand_rnn_batch_first(space, e):
    names = {"Wx": "W_ax", "Wh": "W_aa", "bh": "b_a", "Wy": "W_ya", "by": "b_y"}
    p = dict(zip(names, parameters(e, *names.values()), strict=True))
    x, y = (rows(e, name).transpose(1, 0, 2) for name in ("x", "y"))
    y_hat, h = space["forward"](p, x)
    found = space["backward"](p, x, y, y_hat, h)
    loss = np.reshape(space["mse"](y_hat, y), (1, 1))
    totals = {(f"d{names[n]}", None): np.atleast_2d(g).T for n, g in found.items()}
    return totals | {("loss", None): loss}


def by_hand_gru(space, e):
    n_x, n_a, n_y = (e.sizes[n] for n in ("n_x", "n_a", "n_y"))
    gru = space["make_gru"](n_x, n_a, n_y)
    names = {"Wy": "W_ya", "by": "b_y"}
    for theirs, gate in (("z", "u"), ("r", "r"), ("h", "c")):
        names |= {f"W{theirs}": f"W_{gate}x", f"U{theirs}": f"W_{gate}a", f"b{theirs}": f"b_{gate}"}
    for theirs, name in names.items():
        gru["params"][theirs][...] = e.value(name, None)
    X, Y = (rows(e, name).transpose(2, 1, 0) for name in ("x", "y"))
    log_probs = gru["forward"](X, e.value("a0", None))
    loss = np.reshape(gru["loss"](log_probs, Y), (1, 1))
    found = gru["backward"](log_probs, Y)
    return {(f"d{names[n]}", None): g for n, g in found.items()} | {("loss", None): loss}


def by_hand_lstm_rows(space, e):
    p, gates = {}, {"W": "x", "U": "a"}
    for letter, side in gates.items():
        joined = [e.value(f"W_{g}{side}", None) for g in "ifo"]
        p |= {
            f"{letter}_ifo": np.concatenate(joined).T,
            f"{letter}_g": e.value(f"W_c{side}", None).T,
        }
    p["b_ifo"] = np.concatenate([e.value(f"b_{g}", None) for g in "ifo"])[:, 0]
    p["b_g"] = e.value("b_c", None)[:, 0]
    start = (e.value(f"{s}0", None).T for s in "ac")
    _, tape = space["lstm_forward"](rows(e, "x"), *start, p)
    dxs, dh, dc, found = space["lstm_backward"](rows(e, "da_y"), p, tape)
    totals = {("da0", None): dh.T, ("dc0", None): dc.T}
    totals |= {("dx", t): dx.T for t, dx in enumerate(dxs)}
    for k, gate in enumerate("ifo"):
        part = slice(k * dh.shape[1], (k + 1) * dh.shape[1])
        totals |= {(f"dW_{gate}{side}", None): found[f"{letter}_ifo"][:, part].T
                   for letter, side in gates.items()}  # fmt: skip
        totals[f"db_{gate}", None] = found["b_ifo"][part][:, None]
    return totals | {("dW_cx", None): found["W_g"].T, ("dW_ca", None): found["U_g"].T}


RNN, GRU, LSTM = "functions_tuple", "gru_functions_in_dict", "lstm_three_joined"
RNN_SEEN = ("        db_h += dpre.sum(0)\n",
            "        db_h += dpre.sum(0); seen['dz_a', t] = dpre.T; seen['da', t] = dH.T\n")  # fmt: skip
RNN_NEXT = ("        dH_next = dpre @ W_hh.T\n",
            "        dH_next = dpre @ W_hh.T; seen['da_prev', t] = dH_next.T\n")  # fmt: skip
BATCH_SEEN = ('        dh_next = dz[:, t] @ params["Wh"]\n',
              '        dh_next = dz[:, t] @ params["Wh"]; seen["da_prev", t] = dh_next.T\n')  # fmt: skip
GRU_SEEN = ('            grads["Wy"] +=', '            seen["dz_y", t] = dy; grads["Wy"] +=')
GRU_LATER = ("            for g, da, left",
             "            seen.update({('da', t): dh, ('dz_u', t): daz, ('dz_c', t): dah, ('dz_r', t): dar})\n"
             "            for g, da, left")  # fmt: skip
LSTM_SEEN = ("        dg = dc * i",
             "        seen.update({(f'dz_{g}', t): d.T for g, d in zip('ifo', np.split(da, 3, axis=1))})\n"
             "        dg = dc * i")  # fmt: skip

HANDS = {  # program: (its mistake, what records its numbers, how it is run, the first wrong number)
    "rnn, time first": (
        RNN, ("states[t + 1] ** 2", "states[t] ** 2"), [RNN_SEEN, RNN_NEXT], by_hand_rnn_rows,
        ("dz_a", 5),
    ),
    "rnn, a sum overwritten": (
        RNN, ("dW_hh += states", "dW_hh = states"), [RNN_SEEN], by_hand_rnn_rows, ("dW_aa", None),
    ),
    "rnn, batch first": (
        "rows_at_once", ('params["Wh"].T\n', 'params["Wh"]\n'), [BATCH_SEEN], by_hand_rnn_batch_first,
        ("da_prev", 5),
    ),
    "gru, columns": (
        GRU, ("dah = dh * z * (1 - hh**2)", "dah = dh * z * (1 - hh)"), [GRU_SEEN, GRU_LATER], by_hand_gru,
        ("dz_c", 5),
    ),
    "gru, a loss not divided": (
        GRU, (" / Y.shape[1]", ""), [GRU_SEEN, GRU_LATER], by_hand_gru, ("loss", None),
    ),
    "gru, two mistakes": (
        GRU, ("daz = dh * (hh - h_prev) * z * (1 - z)\n            dah = dh * z * (1 - hh**2)",
              "daz = dh * (hh - h_prev) * z\n            dah = dh * z * (1 - hh)"), [GRU_SEEN, GRU_LATER],
        by_hand_gru, ("dz_u", 5),
    ),
    "lstm, rows, no loss": (
        LSTM, ("dc * g * i * (1 - i)", "dc * c_old * i * (1 - i)"), [LSTM_SEEN], by_hand_lstm_rows,
        ("dz_i", 5),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", HANDS)
def test_what_stands_beside_is_what_the_program_computes(case):
    name, mistake, recording, by_hand, first = HANDS[case]
    report, explanation = shown(program(name, mistake))
    theirs = explanation.theirs
    assert theirs.wrong[0] in {(f.quantity, f.t) for f in report.findings}
    assert first in theirs.wrong
    space = {"seen": {}}
    exec(program(name, mistake, *recording), space)
    done = by_hand(space, explanation) | space["seen"]
    assert {first} <= done.keys()
    for key, value in done.items():
        right = explanation.value(*key)
        assert (key in theirs.values) == (not same(value, right)), key
        if key in theirs.values:
            np.testing.assert_allclose(theirs.values[key], value, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("case", HANDS)
def test_it_begins_at_the_first_mistake_and_what_is_right_is_the_networks(case):
    name, mistake, *_ = HANDS[case]
    report, explanation = shown(program(name, mistake))
    theirs, keys = explanation.theirs, [moment.key for moment in explanation.moments]
    begins = keys.index(theirs.wrong[0])
    assert set(theirs.wrong) <= set(keys)
    assert theirs.values.keys() <= set(keys[begins:])
    assert [keys.index(key) for key in theirs.wrong] == sorted(map(keys.index, theirs.wrong))
    finding = report.findings[0]
    assert theirs.said[finding.quantity] == finding.message
    assert theirs.lines[finding.quantity] == (finding.line, finding.source)
    computed = explanation.computed()  # the table, which is not what made the tape
    for key in keys:
        np.testing.assert_allclose(computed[key], explanation.value(*key), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize(("name", "edit", "wrong"), [
    ("einsum_of_letters", ("dz.sum((0, 1))", "dz.sum(1)"), ("db_a", None)),
    (GRU, ('["Wy"] += dy @ h.T', '["Wy"] += dy @ h'), ("dW_ya", 5)),  # it fails here
    ("gates_in_a_loop", ("while t >= 0:", "while t > 0:"), ("dz_y", 0)),  # never computed
])  # fmt: skip
def test_a_number_of_another_shape_or_none_is_wrong_and_has_no_value(name, edit, wrong):
    report, explanation = shown(program(name, edit))
    theirs, finding = explanation.theirs, report.findings[0]
    assert theirs.wrong[0] == wrong == (finding.quantity, finding.t)
    assert wrong not in theirs.values
    assert theirs.said[wrong[0]] == finding.message
    assert theirs.lines[wrong[0]] == (finding.line, finding.source)
    assert all(v.shape == explanation.value(*k).shape for k, v in theirs.values.items())


@pytest.mark.parametrize("edit", [
    ('["Wy"] += dy @ h.T', '["Wy"] += dy @ h'),
    ('drh = p["Uh"].T @ dah', 'drh = p["Uh"].T @ dah.T'),  # dW_ya has its first share by then
])  # fmt: skip
def test_what_follows_from_what_is_not_there_is_not_made_up(edit):
    theirs = shown(program(GRU, edit))[1].theirs
    assert theirs.wrong
    assert theirs.values == {}  # it stopped there


@pytest.mark.parametrize(("name", "edit", "first", "said_of"), [
    (RNN, ("    (H,) = state\n", "    (H,) = state\n    H = 0 * H\n"), ("z_a", 0), "a0"),
    (RNN, ("dW_hh += states[t].T", "dW_hh += states[t - 1].T"), ("dW_aa", 5), "dW_aa"),
])  # fmt: skip
def test_what_is_read_wrong_shows_where_it_is_used(name, edit, first, said_of):
    report, explanation = shown(program(name, edit))
    assert report.findings[0].quantity == said_of
    assert explanation.theirs.wrong[0] == first
    assert first in explanation.theirs.values


def test_numbers_that_overflow_are_shown_where_they_do():
    report, explanation = shown(program("minchar"))
    theirs = explanation.theirs
    assert theirs.wrong[0] == (report.findings[0].quantity, report.findings[0].t) == ("y_hat", 0)
    assert np.isnan(theirs.values["y_hat", 0]).all()
    assert "logits near 1000" in explanation.notes[0]
    assert np.min(explanation.value("z_y", 0)) > 900
    assert "does not show on these numbers" in explanation.notes[-1]


@pytest.mark.parametrize(
    ("change", "kind", "t"), [("T_x > 1", "one step", 0), ("m > 1", "one sequence", 5)]
)
def test_what_is_wrong_for_one_step_or_sequence_only_is_shown_there(change, kind, t):
    _, explanation = shown(rendered("rnn", (DX, f"dx[:, :, t] = (1 if {change} else 2) * W_ax")))
    assert kind in explanation.notes[0]
    assert 1 in (explanation.m, explanation.T)
    assert explanation.theirs.wrong[0] == ("dx", t)
    np.testing.assert_allclose(explanation.theirs.values["dx", t], 2 * explanation.value("dx", t))
    assert explanation.theirs.values.keys() == {("dx", k) for k in range(explanation.T)}


def test_two_ways_to_be_wrong_are_both_said():
    text = (Path(__file__).parent.parent / "examples/forum/1_as_posted.py").read_text()
    report, explanation = shown(text)
    theirs = explanation.theirs
    assert theirs.wrong[0] == ("z_a", 5)
    messages = [finding.message for finding in report.findings if finding.quantity == "dz_y"]
    assert len(messages) == 2
    assert all(message in theirs.said["dz_y"] for message in messages)
    not_computed = {("dz_y", 5), ("dx", 5), ("dz_a", 5)}  # nor what is made from it
    assert not not_computed & theirs.values.keys()
    np.testing.assert_allclose(theirs.values["dz_y", 3], 0, atol=1e-15)
    assert ("dW_ya", None) in theirs.values


def test_a_program_with_a_binding():
    _, explanation = shown(ODD.replace("@ s +", "@ s -"), BINDING)
    e, theirs = explanation, explanation.theirs
    z = e.value("W_aa", None) @ e.value("a0", None) - e.value("W_ax", None) @ e.value("x", 0)
    assert theirs.wrong[0] == ("z_a", 0)
    np.testing.assert_allclose(theirs.values["z_a", 0], z + e.value("b_a", None))


RIGHT = {  # of the states, the gates and their gradients: what has a line
    "functions_of_globals": "z_a a z_y y_hat loss dz_y da dz_a dW_aa dW_ax db_a dW_ya db_y",
    "gru_stacked": "z_u z_r z_c u r c_tilde a da dz_u dz_r dz_c dW_ua dW_rx db_c da_prev",
    "gru_of_vectors": "z_u a da dz_u dW_ua",  # one sequence
    "layer_in_rows": "z_f c a dc dz_f dW_fa dW_ox db_i",
    "gru_torch_functions": "z_u z_r z_c u r c_tilde a da dz_u dz_ca dW_ca db_ca",  # of a variant
    "bias_first": "z_f c a dc dz_f dW_fa dW_ox db_i",
    "learned_start": "z_a a y_hat dz_a dW_aa da0",
    "many_to_one": "z_a a y_hat loss dz_y dz_a dW_aa",
    "series_of_one": "z_a a y_hat loss dz_y dz_a dW_aa",
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_program_has_lines_and_nothing_wrong(name):
    report, explanation = shown(program(name))
    theirs = explanation.theirs
    assert (report.verdict, dict(theirs.values), theirs.wrong, dict(theirs.said)) == (
        "right",
        {},
        (),
        {},
    )
    assert set(RIGHT[name].split()) <= set(theirs.lines)
    lines = program(name).splitlines()
    assert all(lines[line - 1] == text for line, text in theirs.lines.values())
    assert explanation.sizes["m"] <= 2


def test_a_line_is_that_of_the_equation():
    lines = shown(program(RNN))[1].theirs.lines
    words = {"a": "H = np.tanh", "z_a": "np.dot(H, W_hh)", "dz_y": "do =", "da": "dH =", "dz_a": "dpre =",
             "dW_aa": "dW_hh +=", "da_prev": "dH_next =", "db_y": "db_q +="}  # fmt: skip
    for name, part in words.items():
        assert part in lines[name][1], name


def test_without_a_loss_what_comes_from_above_is_that_of_the_loss_that_is_shown():
    explanation = shown(program(LSTM))[1]
    assert "has no loss" in explanation.notes[0]
    above = explanation.value("W_ya", None).T @ explanation.value("dz_y", 2)
    np.testing.assert_allclose(explanation.value("da_y", 2), above)
    assert np.any(above)


def test_what_has_no_place_in_the_walk_is_noted():
    again = ("dW_xh, dW_hh, db_h, dW_hq, db_q = [np.zeros_like(p) for p in params]",
             "dW_xh, dW_hh, db_h, dW_hq, db_q = sums = KEPT or [np.zeros_like(p) for p in params]\n    KEPT[:] = sums")  # fmt: skip
    report, explanation = shown("KEPT = []\n" + program(RNN, again))
    assert report.verdict == "wrong"
    assert (explanation.theirs.wrong, explanation.theirs.values) == ((), {})
    assert report.findings[0].message in explanation.notes[-1]


def test_the_usual_check_collects_nothing():
    report, walk = walked(THEIRS / f"{RNN}.py", walk=False)
    assert (report.verdict, walk) == ("right", None)


@pytest.fixture
def check(monkeypatch, capsys, tmp_path):
    """Run the command in a folder that has `wrong.py`, `right.py` and `none.py`."""
    monkeypatch.chdir(tmp_path)
    Path("wrong.py").write_text(program(RNN, ("states[t + 1] ** 2", "states[t] ** 2")))
    Path("right.py").write_text(program(RNN))
    Path("none.py").write_text("x = 1\n")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["unrolled", "check", *arguments])
        return _run(), *capsys.readouterr()

    return run


def test_the_command_writes_a_file(check):
    status, out, err = check("wrong.py", "-o", "page.json")
    assert (status, err) == (1, "")
    assert "is wrong, on line" in out
    assert out.endswith("Written: page.json\n")
    assert json.loads(Path("page.json").read_text())
    assert check("right.py", "--out", "right.json")[0] == 0
    assert Path("right.json").exists()
    status, out, err = check("right.py", "--format", "json", "-o", "page.json")
    assert (json.loads(out)["verdict"], err) == ("right", "Written: page.json\n")


@pytest.mark.parametrize(("arguments", "said"), [
    (["wrong.py", "right.py", "-o", "page.json"], "2 programs came for one page.json: expected one"),
    (["wrong.py", "-o", "page.pdf"], "page.pdf ends in '.pdf'"),
    (["none.py", "-o", "page.json"], "none.py could not be checked"),
])  # fmt: skip
def test_the_command_writes_nothing_and_says_why(check, arguments, said):
    status, out, err = check(*arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1
    assert not list(Path().glob("page*"))


def test_a_name_of_a_file_is_text(check):
    name = "<script>alert(1)<:script>.py" if sys.platform == "win32" else "<b>=A1()\t.py"
    Path(name).write_text(program(RNN))
    assert "\t" not in shown_title(name)
    assert "<b>" in shown_title(name)


def shown_title(name):
    report, walk = walked(name)
    return explained(walk, report.file).title


def test_labels_name_moments():
    explanation = shown(program(RNN, ("states[t + 1] ** 2", "states[t] ** 2")))[1]
    at = explanation.find(label_of(explanation.theirs.wrong[0]))
    assert explanation.moments[at].label == "t=5:dz_a"


def test_these_programs_are_python():
    assert all(
        ast.parse(program(name, mistake, *seen)) for name, mistake, seen, *_ in HANDS.values()
    )
