"""Data made ready for training: what is held back, what numbers mean, what is to be beaten."""

import math

import numpy as np
import pytest
from problems import assert_close

import unrolled as un
from unrolled.data.tables import LabelledSequences
from unrolled.training.tasks import verdict
from unrolled.training.tasks.forecast import Forecast
from unrolled.training.tasks.labelled import Labelled, labelled_dataset
from unrolled.training.tasks.loading import TASKS, load_data, new_data, task_of
from unrolled.training.tasks.synthetic import Adding, Copying
from unrolled.training.tasks.text import Text, text_dataset

NAMES = [
    a + b for a in ("an", "bo", "cy", "do", "el") for b in ("na", "b", "ril", "ra", "", "ster")
]


def _lines(source, task):
    """The lines that a source shows, from its windows."""
    found = []
    for window in source.windows(0):
        ends = (
            np.full(len(window.X), window.X.shape[1]) if window.lengths is None else window.lengths
        )
        for x, y, end in zip(window.X, window.Y, ends, strict=True):
            text = task.vocabulary.decode(y[:end])
            assert task.vocabulary.decode(x[:end]) == "\n" + text[:-1]
            found.append(text.removesuffix("\n"))
    return found


def test_names_are_lines_from_a_newline_to_a_newline():
    data = text_dataset("\n".join(NAMES), True, 4, None, 0.2, 3, "said")
    kept, held = _lines(data.training, data.task), _lines(data.validation, data.task)
    assert sorted(kept + held) == sorted(NAMES)
    assert len(held) == 6
    other = text_dataset("\n".join(NAMES), True, 4, None, 0.2, 4, "said")
    assert sorted(_lines(other.validation, other.task)) != sorted(held)


def test_prose_is_a_stream_and_its_end_is_held_back():
    text = "abcdefghij" * 100
    data = text_dataset(text, False, 3, 20, 0.25, 0, "said")
    assert data.training.m == 3
    windows = list(data.validation.windows(0))
    whole = np.concatenate([w.Y for w in windows], axis=1)
    assert whole.size >= 0.9 * 250
    decoded = data.task.vocabulary.decode(windows[0].X[0])
    assert text[750:].startswith(decoded)


def test_the_perplexity_is_that_of_all_characters():
    data = text_dataset("\n".join(NAMES), True, 4, None, 0.3, 0, "")
    net = data.network("gru", 6, dtype="float64", seed=3)
    total = count = 0
    for line in _lines(data.validation, data.task):
        labels = data.task.vocabulary.encode(f"\n{line}\n").astype(int)
        total += net.loss(labels[None, :-1], labels[None, 1:]) * (len(labels) - 1)
        count += len(labels) - 1
    measures = data.task.measures(net, data.validation)
    assert measures["loss"] == pytest.approx(total / count, rel=1e-12)
    assert measures["perplexity"] == pytest.approx(math.exp(total / count))


def test_the_first_loss_is_chance():
    """Log n for softmax at the start, whatever the task: weights are small, and biases 0."""
    for name, n in (("names", 27), ("digits", 10), ("copying", 10)):
        data = load_data(name, length=20)
        history = un.train(data.network(dtype="float32"), data, steps=1)
        assert history.updates[0].loss == pytest.approx(math.log(n), rel=0.06), name
        assert any(r["loss"] == pytest.approx(math.log(n)) for r in data.references.values())


def _sequences(count=40, labels="abc", seed=0, n_x=2):
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 6, count)
    return LabelledSequences(
        [random.normal(5, 3, (n, n_x)) for n in lengths], [labels[k % len(labels)] for k in range(count)],
        tuple(f"x{k}" for k in range(n_x)),
    )  # fmt: skip


def test_labelled_sequences_are_standardised_by_what_is_learned_from():
    raw = _sequences()
    data = labelled_dataset(raw, 7, None, 0.25, 0, "")
    task = data.task
    assert len(data.training) == 30
    assert_close(data.training.X.mean(axis=0) + 1, np.ones(2), 12)
    assert_close(data.training.X.std(axis=0), np.ones(2), 12)
    rows = {tuple(row) for s in raw.sequences for row in s}
    back = data.validation.X * task.scale + task.mean
    assert all(any(np.allclose(row, r) for r in rows) for row in back)
    again = Labelled.made(task.settings)
    source = again.source(raw, 5, None, None)
    assert_close(source.X[: len(raw.sequences[0])], (raw.sequences[0] - task.mean) / task.scale, 12)
    assert [again.labels[k] for k in source.Y] == raw.labels


def test_accuracy_and_loss_are_those_of_the_network():
    raw = _sequences()
    data = labelled_dataset(raw, 7, None, 0.25, 0, "")
    net = data.network("lstm", 5, dtype="float64", bidirectional=True)
    source, losses, right = data.validation, [], []
    for k in range(len(source)):
        x = source.X[source.starts[k] : source.starts[k] + source.lengths[k]].T[:, None]
        losses.append(net.loss(x, source.Y[k : k + 1]))
        right.append(net.forward(x, many_to_one=True)["y_hat"][:, 0, -1].argmax() == source.Y[k])
    measures = data.task.measures(net, source)
    assert measures["loss"] == pytest.approx(np.mean(losses), rel=1e-12)
    assert measures["accuracy"] == np.mean(right)


@pytest.mark.parametrize("seed", range(6))
def test_a_label_that_would_only_be_held_back_is_learned_from(seed):
    raw = _sequences(20)
    raw.labels[seed * 3] = "rare"
    data = labelled_dataset(raw, 7, None, 0.5, seed, "")
    rare = data.task.labels.index("rare")
    assert (rare == data.training.Y).sum() == 1
    assert not (rare == data.validation.Y).any()


def test_a_feature_that_never_changes_stays_finite():
    raw = LabelledSequences([np.array([[1.0, k]]) for k in range(10)], list("ab" * 5), ("c", "k"))
    data = labelled_dataset(raw, 3, None, 0.2, 0, "")
    assert np.isfinite(data.training.X).all()


def test_text_with_labels_is_characters():
    raw = LabelledSequences(["hola", "hello", "hej", "hi"] * 5, ["es", "en", "sv", "en"] * 5, ())
    data = labelled_dataset(raw, 3, None, 0.25, 0, "")
    assert data.task.sizes["n_x"] == len(set("holahellohejhi"))
    new = data.task.source(LabelledSequences(["ho"], ["sv"], ()), 1, None, None)
    assert data.task.vocabulary.decode(new.X) == "ho"
    with pytest.raises(un.UnrolledError, match="character 'ñ'"):
        data.task.source(LabelledSequences(["ñ"], ["es"], ()), 1, None, None)


@pytest.mark.parametrize(("raw", "words"), [
    (_sequences(4, "abd"), "the label 'd' .* was not learned: expected one of 'a', 'b', 'c'"),
    (_sequences(4, n_x=3), "the features are x0, x1, x2: expected those of the run, x0, x1"),
    (LabelledSequences(["text"], ["a"], ()), "the features are text"),
])  # fmt: skip
def test_other_data_have_to_be_of_the_same_kind(raw, words):
    task = labelled_dataset(_sequences(), 7, None, 0.25, 0, "").task
    with pytest.raises(un.UnrolledError, match=words):
        task.source(raw, 1, None, None)


def test_one_label_is_nothing_to_tell_apart():
    with pytest.raises(un.UnrolledError, match="all sequences have the label 'a'"):
        labelled_dataset(_sequences(5, "a"), 2, None, 0.2, 0, "")


def _series(tmp_path, values, header="x"):
    path = tmp_path / "series.csv"
    np.savetxt(path, values, delimiter=",", header=header, comments="")
    return path


@pytest.mark.parametrize("targets", [["x"], ["y", "x"]])
def test_a_forecast_is_of_the_next_value_in_its_own_unit(tmp_path, targets):
    random = np.random.default_rng(0)
    values = np.column_stack([random.normal(100, 7, 200), random.normal(-3, 0.1, 200)])
    path = _series(tmp_path, values, "x,y")
    data = load_data(path, T=11, validation=0.3, columns={"target": targets})
    task, held = data.task, int(199 * 0.3)
    assert np.allclose(task.mean, values[: 200 - held].mean(axis=0))
    net = data.network("gru", 4, dtype="float64")
    standard = (values - task.mean) / task.scale
    warm = min(500, 200 - held - 1)
    X = standard[200 - held - 1 - warm : -1]
    places = [("x", "y").index(t) for t in task.targets]
    y_hat = net.forward(X.T[:, None])["y_hat"][:, 0, -held:]
    error = (y_hat.T - standard[-held:][:, places]) * task.scale[places]
    measures = task.measures(net, data.validation)
    rmse = np.sqrt((error**2).mean(axis=0))
    named = ["rmse"] if len(targets) == 1 else [f"rmse of {t}" for t in task.targets]
    assert [measures[name] for name in named] == pytest.approx(list(rmse))
    assert measures["loss"] == pytest.approx(un.training.evaluation.mean_loss(net, data.validation))
    stays = np.sqrt((np.diff(values[:, places], axis=0)[-held:] ** 2).mean(axis=0))
    assert [data.references["the value before"][name] for name in named] == pytest.approx(
        list(stays)
    )


@pytest.mark.parametrize(("numbers", "words"), [
    ([1e300, -1e300] * 10, "up to 1e+300, too large"), ([1e308, -1e308] * 10, "up to 1e+308, too large"),
    ([*range(18), 1e200, 1], "the number 1e+200 is too far from the others, whose mean is 8 "),
])  # fmt: skip
def test_numbers_that_are_too_large(tmp_path, numbers, words):
    path = tmp_path / "x.csv"
    path.write_text("x\n" + "\n".join(map(str, numbers)))
    with pytest.raises(un.UnrolledError) as refused:
        load_data(path)
    assert words in str(refused.value)
    rows = "".join(f"{x},{'ab'[k % 2]}\n" for k, x in enumerate(numbers))
    path.write_text("x,label\n" + rows)
    with pytest.raises(un.UnrolledError, match=r"too large|too far"):
        load_data(path, seed=1)


def test_held_back_data_teach_nothing(tmp_path):
    """Whatever is held back may change, and the parameters are the same bytes."""

    def trained(values):
        data = load_data(_series(tmp_path, values), validation=0.25)
        net = data.network("gru", 5)
        training = un.training.loop.Training(
            net, data.training, un.Adam(), un.training.plan.Plan(steps=9)
        )
        list(training.updates())
        return net.parameters

    values = np.random.default_rng(0).random((100, 1))
    changed = values.copy()
    changed[-24:] += 100
    for name, value in trained(values).items():
        assert value.tobytes() == trained(changed)[name].tobytes()


@pytest.mark.parametrize(("content", "words"), [
    ("x\n5\n5\n5\n5\n5\n", "never changes"), ("x\n1\n", "has one row"),
])  # fmt: skip
def test_a_series_that_cannot_be_forecast(tmp_path, content, words):
    path = tmp_path / "series.csv"
    path.write_text(content)
    with pytest.raises(un.UnrolledError, match=words):
        load_data(path)


TINY = {
    "names": "anna\nbob\ncy\ndora\nel\nflo\n", "prose": "to be or not to be",
    "a.csv": "label,s1,s2\na,1,2\nb,2,1\na,1,3\nb,4,1\n", "b.csv": "x\n1\n2\n1\n3\n",
}  # fmt: skip


@pytest.mark.parametrize("name", TINY)
@pytest.mark.parametrize("options", [
    {}, {"m": 1, "T": 1}, {"m": 100, "T": 100}, {"validation": 0.0}, {"validation": 0.99},
], ids=str)  # fmt: skip
def test_the_smallest_data_are_trained_on(tmp_path, name, options):
    path = tmp_path / (name if "." in name else f"{name}.txt")
    path.write_text(TINY[name])
    kind = name if "." not in name else None
    data = load_data(path, kind=kind, **options)
    assert type(data.task) in (Text, Labelled, Forecast)
    net = data.network("rnn", 3)
    history = un.train(net, data, steps=3)
    assert len(history.updates) == 3
    assert all(math.isfinite(u.loss) for u in history.updates)
    again = task_of(data.settings)
    assert again.settings == data.task.settings
    new = new_data(again, path, columns={})
    assert math.isfinite(again.measures(net, new)["loss"])


@pytest.mark.parametrize("name", ["names", "digits", "sunspots", "adding", "copying"])
def test_data_sets_by_name(name):
    data = load_data(name, length=10)
    assert TASKS[data.task.kind] is type(data.task)
    net = data.network(n_a=3, dtype="float32")
    un.train(net, data, steps=2)
    assert data.references
    assert data.facts
    assert math.isfinite(data.task.measures(net, data.validation)[data.task.measure])


def test_what_is_held_back_of_drawn_data_is_not_drawn_in_training():
    data = load_data("adding", length=5, seed=3)
    shown = {tuple(x) for w in data.training.windows(0) for x in w.X[0].round(9)}
    held = {tuple(x) for w in data.validation.windows(0) for x in w.X[0].round(9)}
    assert len(held) == 1000
    assert not shown & held
    assert Adding.made(Adding(7).settings) == Adding(7)
    assert Copying(5).references["one without memory"]["loss"] == pytest.approx(
        10 * math.log(8) / 25
    )


def test_verdicts():
    task = Adding(5)
    references = {"always": {"mse": 1.0}, "other": {"loss": 3.0}}
    assert verdict(task, {"mse": 0.5}, references) == ["better than always: mse 0.5 against 1"]
    assert verdict(task, {"mse": 0.98}, references) == ["no better than always: mse 0.98 against 1"]
    assert verdict(task, {"mse": 1.01}, references) == ["no better than always: mse 1.01 against 1"]
    assert verdict(task, {"mse": 1.5}, references) == ["worse than always: mse 1.5 against 1"]
    higher = labelled_dataset(_sequences(), 7, None, 0.25, 0, "").task
    assert verdict(higher, {"accuracy": 0.9}, {"chance": {"accuracy": 0.5}})[0].startswith(
        "better than"
    )


@pytest.mark.parametrize(("source", "options", "words"), [
    ("no-such-file", {}, "is not there: expected a file, or one of names, digits, sunspots, adding, copying"),
    ("names", {"validation": 1.0}, "validation is 1.0"), ("names", {"m": 0}, "m is 0"),
    ("names", {"T": 0}, "T is 0"), ("adding", {"length": 1}, "length is 1"),
    ("names", {"kind": "poem"}, "kind is 'poem'"), ("names", {"seed": -1}, "seed is -1"),
    ("names", {"columns": {"label": "x"}}, "columns go with a table"),
    ("digits", {"kind": "prose"}, "digits is no text"),
])  # fmt: skip
def test_data_that_cannot_be_loaded(source, options, words):
    with pytest.raises(un.UnrolledError, match=words):
        load_data(source, **options)


@pytest.mark.parametrize("kind", ["names", "prose"])
def test_what_was_held_back_is_measured_alike_from_a_file(tmp_path, kind):
    text = "\n".join(NAMES * 40) if kind == "names" else "to be or not to be, that is it. " * 300
    (tmp_path / "whole.txt").write_text(text)
    data = load_data(tmp_path / "whole.txt", kind=kind)
    held = (
        text[-int(len(text) * 0.1) :]
        if kind == "prose"
        else "\n".join(_lines(data.validation, data.task))
    )
    (tmp_path / "held.txt").write_text(held)
    net = data.network("gru", 5, dtype="float64")
    ours = data.task.measures(net, data.validation)["loss"]
    assert data.task.measures(net, new_data(data.task, tmp_path / "held.txt"))[
        "loss"
    ] == pytest.approx(ours)
