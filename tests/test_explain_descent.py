"""The story of an example: descents by programs that are written from the equations."""

import copy
import json
import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from cli import unrolled

from unrolled.errors import UnrolledError
from unrolled.explaining import descent
from unrolled.explaining.descent import check_story, descend, program_of, scaled
from unrolled.explaining.examples import read_example
from unrolled.explaining.sentences import saturations

PEEPHOLE = str(Path(__file__).with_name("peephole_lstm.py"))
STORY = {
    "rate": 0.1,
    "steps": 5,
    "wrong_rate": 10,
    "scale": 0.5,
    "scaled_rate": 0.1,
    "scaled_steps": 5,
}


def _by_engine(explanation, rate, steps):
    """The same descent in the network itself."""
    net, tape = copy.deepcopy(explanation.net), explanation.tape
    batch = net.batch(tape["x"], tape["y"], dict(tape.batch.state), None, explanation.reduction)
    for _ in range(steps):
        _, _, gradients = net.run_batch(batch)
        for name, gradient in gradients.items():
            net.parameters[name] -= rate * gradient
    return net.run_batch(batch)[0], net.parameters


@pytest.mark.parametrize("cell", ["rnn", "gru", "gru_reset_after", "lstm", PEEPHOLE])
@pytest.mark.parametrize(("output", "loss"), [
    ("softmax", None), ("softmax", "squared_error"), ("sigmoid", None), ("linear", None),
])  # fmt: skip
def test_a_descent_is_that_of_the_engine(tmp_path, cell, output, loss):
    example = {
        "output": output,
        "loss": loss,
        "sizes": {"n_x": 2, "n_a": 3, "n_y": 2, "m": 2, "T": 3},
    }
    path = tmp_path / "example.json"
    path.write_text(json.dumps(example))
    explanation = read_example(str(path), cell)
    found, (loss, parameters) = descend(explanation, 0.2, 40), _by_engine(explanation, 0.2, 40)
    assert found.after < found.before
    assert found.after == pytest.approx(loss, rel=1e-9)
    for name, value in found.parameters.items():
        np.testing.assert_allclose(value, parameters[name], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "sigmoid"])
def test_a_descent_with_another_activation(tmp_path, activation):
    path = tmp_path / "example.json"
    path.write_text(json.dumps({"activation": activation}))
    explanation = read_example(str(path))
    found, (loss, _) = descend(explanation, 0.1, 40), _by_engine(explanation, 0.1, 40)
    assert found.after == pytest.approx(loss, rel=1e-9)


def test_saturated_is_that_of_the_engine_and_of_plain_numpy():
    explanation = read_example("saturated")
    found = descend(explanation, 1e-4, 200)
    assert found.after == pytest.approx(_by_engine(explanation, 1e-4, 200)[0], rel=1e-12)
    assert set(found.parameters) == {"W_ya", "b_y"}
    W, b = (
        np.array([[11, 15, 175, 21], [13, 12, 14, 150], [15, 7, 9, 1.0]]),
        np.array([10, 25, 1.5]),
    )
    for _ in range(200):
        z = W.sum(axis=1) + b  # a = 1 in all units
        dz = np.exp(z - z.max()) / np.exp(z - z.max()).sum() - [0, 0, 1]
        W, b = W - 1e-4 * np.outer(dz, np.ones(4)), b - 1e-4 * dz
    np.testing.assert_allclose(found.parameters["W_ya"], W, rtol=1e-12)
    np.testing.assert_allclose(found.parameters["b_y"].ravel(), b, rtol=1e-12)


def test_the_story_of_saturated():
    explanation = read_example("saturated")
    start = time.perf_counter()
    flat, slip, right, small = explanation.told
    assert explanation.told is explanation.told
    assert time.perf_counter() - start < 30  # of a loaded machine; it is 0.3 s
    assert "z_a = 548.7, 484.25, 229.8, 189.2" in flat
    assert "exactly 0 in 4 of 4 entries" in flat
    assert "dW_aa, dW_ax, db_a, da0 are exactly 0" in flat
    noise = float(slip.partition("here up to ")[2].partition(",")[0].replace("−", "-"))
    assert 0 <= noise < 1e-15
    assert "a rate of 5,000,000" in slip
    assert "0.0001 brings the loss from 198.50000001523 to 0.03139 in 300,000 steps" in right
    assert "multiplied by 0.02 nothing saturates" in small
    assert "from 1.9586 to 0.01702 in 100 steps" in small


def test_scaled_is_all_but_the_targets():
    explanation = read_example("saturated")
    small = scaled(explanation, 0.02)
    np.testing.assert_allclose(small.value("z_a", 0).ravel()[0], 0.415480, rtol=1e-6)
    np.testing.assert_array_equal(small.value("y", 0), explanation.value("y", 0))
    assert explanation.value("loss", None)[0, 0] == pytest.approx(198.50000001523, rel=1e-13)
    assert small.value("loss", None)[0, 0] == pytest.approx(1.9586, abs=5e-5)


def test_a_gradient_that_is_0_at_first_only_is_not_left_out():
    """With W_ya = 0 nothing comes back to the weights in the first step, and it does in the second."""
    explanation = read_example("sequence")
    explanation.net.parameters["W_ya"][...] = 0
    tape = explanation.net.tape(
        explanation.tape["x"], explanation.tape["y"], dict(explanation.tape.batch.state)
    )
    explanation = replace(explanation, tape=tape)
    assert not explanation.value("dW_aa", None).any()
    found = descend(explanation, 0.3, 30)
    assert "W_aa" in found.parameters
    assert found.after == pytest.approx(_by_engine(explanation, 0.3, 30)[0], rel=1e-9)


def test_only_what_changes_is_computed():
    program = program_of(read_example("saturated"), ["W_ya", "b_y"])
    assert "tanh" not in program
    assert "W_aa" not in program
    assert program.count("exp(") == 3


def test_a_descent_that_blows_up_ends_in_nan():
    explanation = read_example("sequence", "rnn")
    with np.errstate(all="ignore"):
        assert math.isnan(descend(explanation, 1e308, 50).after)


@pytest.mark.parametrize(("story", "words"), [
    ([1], "story is [1]: expected numbers for rate, steps"),
    ({"rate": 1}, "expected numbers for rate, steps"),
    (STORY | {"rate": "fast"}, "rate is 'fast': expected a number above 0"),
    (STORY | {"rate": math.nan}, "rate is nan"),
    (STORY | {"steps": 0}, "steps is 0: expected a whole number from 1"),
    (STORY | {"scaled_steps": 10**9}, "scaled_steps is 1000000000: expected at most 1000000"),
    (STORY | {"steps": 10**6}, "story has 1000000 steps of n_a (n_x + n_a + n_y) m T = 360"),
])  # fmt: skip
def test_a_story_that_cannot_be_told(story, words):
    sizes = {"n_x": 3, "n_a": 4, "n_y": 2, "m": 2, "T": 5}
    with pytest.raises(UnrolledError) as error:
        check_story(story, sizes)
    assert words in str(error.value)


def test_a_story_of_ones_own(tmp_path):
    path = tmp_path / "example.json"
    path.write_text(json.dumps({"story": STORY, "title": "mine", "output": "sigmoid"}))
    assert len(read_example(str(path), PEEPHOLE).told) == 2  # whose pre-activations have no names
    right, small = read_example(str(path)).told
    assert "a rate of 0.1 brings the loss" in right
    assert "nothing saturates" in small
    run = unrolled("explain", str(path))
    assert run.returncode == 0
    assert "The story of these numbers" in run.stdout


def test_examples_without_a_story_have_none():
    assert read_example("small").told == ()
    assert "The story" not in unrolled("explain", "small").stdout
    run = unrolled("explain", "saturated")
    assert "198.50000001523" in run.stdout.replace("\n", " ")


def test_which_gradients_are_lost_is_said():
    assert saturations(read_example("saturated")) == [
        "dz_a⟨0⟩ is exactly 0 in 4 of 4 entries though da⟨0⟩ is not, for the activation is flat there: "
        "|z_a⟨0⟩| is from 189.2 to 548.7."
    ]
    assert saturations(read_example("sequence")) == []
    many = read_example("sequence", "rnn")
    many.net.parameters["b_a"][...] = 500
    tape = many.net.tape(many.tape["x"], many.tape["y"])
    said = saturations(replace(many, tape=tape), most=2)
    assert len(said) == 3
    assert said[-1] == "So it is with 3 more."


def test_the_numbers_keep_the_story(tmp_path):
    explanation = read_example("saturated")
    explanation.save(tmp_path / "numbers.json")
    assert read_example(str(tmp_path / "numbers.json")).story == explanation.story
    assert descent.check_story(explanation.story, explanation.sizes)
