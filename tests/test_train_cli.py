"""`unrolled train`, `sample`, `evaluate` as a person runs them."""

import csv
import json
import math
import os
import re
import sys

import numpy as np
import pytest
from cli import unrolled

import unrolled as un
from unrolled.cells import rnn
from unrolled.data.surnames import surnames
from unrolled.data.text import Vocabulary

FILES = {"checkpoint.safetensors", "loss.png", "metrics.csv", "model.safetensors", "report.html",
         "settings.json"}  # fmt: skip
FAST = ["--hidden", "6", "--steps", "12", "--every", "5", "--batch", "8"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with data of each kind, and a run on each."""
    path = tmp_path_factory.mktemp("work")
    random = np.random.default_rng(0)
    (path / "names.txt").write_text("\n".join(surnames()[:300]) + "\n")
    (path / "prose.txt").write_text("To be, or not to be, that is the question:\n" * 40)
    rows = [[*random.normal(k % 2, 1, 4), "ab"[k % 2]] for k in range(60)]
    _write_csv(path / "labelled.csv", ["s1", "s2", "s3", "s4", "label"], rows)
    series = 50 + 10 * np.sin(np.arange(120) / 3) + random.normal(0, 1, 120)
    _write_csv(path / "series.csv", ["year", "sales"], enumerate(series.tolist(), start=1900))
    for name in ("names.txt", "prose.txt", "labelled.csv", "series.csv"):
        done = unrolled("train", name, *FAST, "--out", name.partition(".")[0], cwd=path)
        assert done.returncode == 0, done.stderr
        assert done.stderr == "", "nothing is said there but to people at a terminal"
        (path / f"{name}.out").write_text(done.stdout, encoding="utf-8")
    return path


def _write_csv(path, header, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.mark.parametrize(("run", "kind", "words"), [
    ("names", "text", ["read as names, one a line (if it is not: --as prose)", "270 lines to learn from, 30 held"]),
    ("prose", "text", ["read as prose, one stream (if it is not: --as names)"]),
    ("labelled", "labelled", ["label", "48 sequences to learn from, 12 held back, 2 labels"]),
    ("series", "forecast", ["rmse", "the value before", "a linear model of 9 values"]),
])  # fmt: skip
def test_a_run_leaves_what_it_says(folder, run, kind, words):
    path, [output] = folder / run, [p.read_text("utf-8") for p in folder.glob(f"{run}.*.out")]
    samples = {"samples.txt"} if kind == "text" else set()
    assert {p.name for p in path.iterdir()} - {".lock"} == FILES | samples
    for word in [*words, "12 updates", f"The run is in {run}", f"unrolled evaluate {run} FILE"]:
        assert word in " ".join(output.split()), word
    settings = json.loads((path / "settings.json").read_text("utf-8"))
    assert settings["data"]["kind"] == kind
    net = un.load(path / "model.safetensors")
    assert net.settings == settings["network"]
    rows = list(csv.DictReader((path / "metrics.csv").read_text().splitlines()))
    assert [int(row["step"]) for row in rows] == list(range(1, 13))
    assert [row["step"] for row in rows if row["validation_loss"]] == ["5", "10", "12"]
    assert (path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert ("sample" in output) == (kind == "text")


@pytest.mark.parametrize("run", ["names", "prose", "labelled", "series"])
def test_evaluate_says_what_training_said(folder, run):
    [output] = [p.read_text("utf-8") for p in folder.glob(f"{run}.*.out")]
    said = dict(
        re.findall(r"(\w+) ([\d.]+)[,.]", re.search(r"On what was held back: (.*)", output)[1])
    )
    done = unrolled("evaluate", run, "--format", "json", cwd=folder)
    measures = json.loads(done.stdout)["measures"]
    assert measures.keys() == said.keys()
    for name, value in said.items():
        assert f"{measures[name]:.4g}" == f"{float(value):.4g}"
    [file] = [p.name for p in folder.glob(f"{run}.*") if p.suffix in (".txt", ".csv")]
    done = unrolled("evaluate", run, file, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert f"On {file}: loss" in done.stdout


def test_the_perplexity_of_a_file_is_that_of_its_lines(folder):
    (folder / "other.txt").write_text("smith\nab\nzoe\n")
    measures = json.loads(
        unrolled("evaluate", "names", "other.txt", "--format", "json", cwd=folder).stdout
    )
    settings = json.loads((folder / "names" / "settings.json").read_text("utf-8"))
    vocabulary, net = (
        Vocabulary(settings["data"]["characters"]),
        un.load(folder / "names" / "model.safetensors"),
    )
    total = count = 0
    for line in ("smith", "ab", "zoe"):
        labels = vocabulary.encode(f"\n{line}\n").astype(int)
        total, count = (
            total + net.loss(labels[None, :-1], labels[None, 1:]) * (len(line) + 1),
            count + len(line) + 1,
        )
    assert measures["measures"]["perplexity"] == pytest.approx(math.exp(total / count), rel=1e-5)


def test_samples(folder):
    one = unrolled("sample", "names", "-n", "4", "--prefix", "sm", "--seed", "3", cwd=folder)
    assert one.returncode == 0
    lines = one.stdout.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("sm") for line in lines)
    assert (
        unrolled("sample", "names", "-n", "4", "--prefix", "sm", "--seed", "3", cwd=folder).stdout
        == one.stdout
    )
    assert unrolled("sample", "names", "-n", "4", "--prefix", "sm", cwd=folder).stdout != one.stdout
    greedy = unrolled("sample", "names", "-n", "3", "--top-k", "1", cwd=folder).stdout.splitlines()
    assert len(set(greedy)) == 1
    data = json.loads(unrolled("sample", "prose", "-n", "2", "--format", "json", "--longest", "9",
                               "--prefix", "To be", cwd=folder).stdout)  # fmt: skip
    assert [len(text) for text in data["texts"]] == [14, 14]
    cold = unrolled(
        "sample", "names", "--temperature", "1e-9", "-n", "2", cwd=folder
    ).stdout.splitlines()
    assert set(cold) == set(greedy)


def test_the_same_command_writes_the_same_bytes(folder):
    assert unrolled("train", "names.txt", *FAST, "--out", "again", cwd=folder).returncode == 0
    for name in ("model.safetensors", "checkpoint.safetensors", "samples.txt"):
        assert (folder / "again" / name).read_bytes() == (folder / "names" / name).read_bytes()
    assert (
        unrolled(
            "train", "names.txt", *FAST, "--seed", "1", "--out", "other", cwd=folder
        ).returncode
        == 0
    )
    assert (folder / "other" / "model.safetensors").read_bytes() != (
        folder / "names" / "model.safetensors"
    ).read_bytes()


def test_lines_of_json(folder):
    done = unrolled("train", "prose.txt", *FAST, "--format", "json", "--out", "json", cwd=folder)
    events = [json.loads(line) for line in done.stdout.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "begin"
    assert kinds[-1] == "end"
    assert kinds.count("update") == 12
    assert kinds.count("sample") == 3
    updates = [event for event in events if event["event"] == "update"]
    rows = list(csv.DictReader((folder / "json" / "metrics.csv").read_text().splitlines()))
    assert [str(u["loss"]) for u in updates] == [row["loss"] for row in rows]
    assert events[-1]["measures"].keys() == {"loss", "perplexity"}
    assert done.stderr == ""


def test_the_page_asks_nothing_of_any_network(folder):
    for run in ("names", "series"):
        page = (folder / run / "report.html").read_text("utf-8")
        assert "default-src 'none'" in page
        assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:|//)", page)
        assert "<script" not in page
        assert "held-back" in page
        assert page.count("<svg") == 1


def test_a_page_with_hostile_names_stays_a_page(tmp_path):
    (tmp_path / "x.txt").write_text("<script>alert(1)</script>\n" * 8)
    done = unrolled("train", "x.txt", *FAST, "--out", "<b>&run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "<b>&run" / "report.html").read_text("utf-8")
    assert "<script" not in page
    assert "<b>" not in page


@pytest.mark.parametrize("options", [
    ["--cell", "rnn", "--layers", "2", "--dropout", "0.3", "--embedding", "4"],
    ["--cell", "lstm", "--dtype", "float64", "--optimiser", "sgd", "--momentum", "0.9"],
    ["--schedule", "linear", "--warmup", "3", "--clip-norm", "inf", "--clip-value", "0.1"],
    ["--validation", "0"], ["--window", "7", "--patience", "1"], ["--threads", "1", "--save-every", "0"],
], ids=str)  # fmt: skip
def test_options(folder, tmp_path, options):
    file = "prose.txt" if "--window" in options else "names.txt"
    done = unrolled("train", file, *FAST, *options, "--out", str(tmp_path / "run"), cwd=folder)
    assert done.returncode == 0, done.stderr
    settings = json.loads((tmp_path / "run" / "settings.json").read_text("utf-8"))
    said = settings["network"] | settings["optimiser"] | settings["plan"] | settings["windows"]
    names = {"--cell": "cell", "--layers": "layers", "--dropout": "dropout", "--embedding": "embedding",
             "--dtype": "dtype", "--momentum": "momentum", "--schedule": "schedule", "--warmup": "warmup",
             "--clip-value": "clip_value", "--window": "T", "--patience": "patience"}  # fmt: skip
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option in names:
            assert str(said[names[option]]) == value
    more = unrolled("train", "--resume", "run", "--steps", "15", cwd=tmp_path)
    assert more.returncode == 0, more.stderr


def test_two_directions_of_labelled_sequences(folder, tmp_path):
    done = unrolled(
        "train", "labelled.csv", *FAST, "--bidirectional", "--out", str(tmp_path / "b"), cwd=folder
    )
    assert done.returncode == 0, done.stderr
    assert unrolled("evaluate", str(tmp_path / "b"), "labelled.csv", cwd=folder).returncode == 0
    done = unrolled(
        "train", "prose.txt", *FAST, "--bidirectional", "--out", str(tmp_path / "c"), cwd=folder
    )
    assert done.returncode == 2
    assert "two directions" in done.stderr
    assert not (tmp_path / "c").exists()


def test_a_run_with_a_cell_of_ones_own(folder, tmp_path):
    with open(rnn.__file__, encoding="utf-8") as file:
        (tmp_path / "mine.py").write_text(file.read(), encoding="utf-8")
    done = unrolled(
        "train", str(folder / "names.txt"), *FAST, "--cell", "mine.py", "--out", "run", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    for arguments in (
        ["sample", "run"],
        ["evaluate", "run"],
        ["train", "--resume", "run", "--steps", "14"],
    ):
        refused = unrolled(*arguments, cwd=tmp_path)
        assert refused.returncode == 2
        assert "say where" in refused.stderr
        (tmp_path / "mine.py").replace(tmp_path / "moved.py")
        assert unrolled(*arguments, "--cell", "moved.py", cwd=tmp_path).returncode == 0
        (tmp_path / "moved.py").replace(tmp_path / "mine.py")
        (tmp_path / "other.py").write_text(
            (tmp_path / "mine.py").read_text("utf-8") + "\n", "utf-8"
        )
        other = unrolled(*arguments, "--cell", "other.py", cwd=tmp_path)
        assert other.returncode == 2
        assert "the cell file is not the one that the run was made with" in other.stderr


NONE = "no-such"


@pytest.mark.parametrize(("arguments", "words"), [
    (["train"], "no FILE came"), (["train", NONE], "no-such is not there: expected a file, or one of names"),
    (["train", "."], ". cannot be read: it is a folder"), (["train", "names.txt", "--hidden", "0"], "--hidden"),
    (["train", "names.txt", "--layers", "0"], "--layers"), (["train", "names.txt", "--batch", "0"], "--batch"),
    (["train", "names.txt", "--window", "0"], "--window"), (["train", "names.txt", "--steps", "0"], "--steps"),
    (["train", "names.txt", "--validation", "1"], "--validation"), (["train", "names.txt", "--seconds", "0"], "--seconds"),
    (["train", "names.txt", "--momentum", "0.5"], "--momentum goes with --optimiser sgd"),
    (["train", "names.txt", "--cell", "transformer"], "'transformer'"),
    (["train", "names.txt", "--patience", "3", "--validation", "0"], "patience goes with held-back data"),
    (["train", "names.txt", "--seconds", "1", "--schedule", "cosine"], "has to know the end"),
    (["train", "names.txt", "--label", "x"], "columns go with a table"),
    (["train", "series.csv", "--label", "colour"], "colour"),
    (["train", "labelled.csv", "--label", "s1"], "label"),
    (["train", "--resume", NONE], "no-such holds no run"), (["train", "--resume", "."], ". holds no run"),
    (["train", "--resume", "names", "--hidden", "9"], "--hidden is that of the run"),
    (["train", "--resume", "names", "--out", "x"], "--out is that of the run"),
    (["train", "--resume", "names", "--cell", "lstm"], "--cell is that of the run, gru"),
    (["train", "--resume", "names", "--steps", "5"], "the run has made 12 updates: expected steps of 12"),
    (["train", "names.txt", "--save-every", "nan"], "--save-every"),
    (["train", "prose.txt", "--resume", "names"], "data"),
    (["train", "names.txt", "--out", "names"], "names is there already: name another folder with --out, or go on"),
    (["train", "names.txt", "--out", "names.txt"], "names.txt"),
    (["train", "names.txt", "--out", "names.txt/run"], "names.txt/run cannot be written to"),
    (["sample", NONE], "no-such holds no run"), (["sample", "labelled"], "expected a run on text"),
    (["sample", "names", "--prefix", "é"], "prefix: the character 'é' (line 1, column 1) is not in the vocabulary"),
    (["sample", "names", "--temperature", "0"], "temperature is 0.0: expected a number above 0"),
    (["sample", "names", "--temperature", "-1"], "temperature is -1.0"),
    (["sample", "names", "--temperature", "nan"], "temperature is nan"), (["sample", "names", "-n", "0"], "-n"),
    (["sample", "names", "--top-k", "0"], "--top-k"),
    (["evaluate", "names", "series.csv"], "series.csv: the character ',' (line 1, column 5) is not in"), (["evaluate", "names", NONE], "no-such is not there"),
    (["evaluate", "series", "labelled.csv"], "expected"), (["evaluate", "labelled", "series.csv"], "label"),
    (["evaluate", "names", "digits"], "digits"),
])  # fmt: skip
def test_what_cannot_be_done_is_one_line(folder, arguments, words):
    done = unrolled(*arguments, cwd=folder)
    assert done.returncode == 2, done.stdout + done.stderr
    assert done.stderr.startswith("unrolled: ")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert done.stdout == "" or "--resume" in arguments
    assert not (folder / "runs").exists(), "no folder is made for what cannot be done"


@pytest.mark.parametrize(("content", "words"), [
    (b"", "is empty"), (b"a", "only one symbol"), (b"aaaa\naa\n", "only one symbol"),
    (b"caf\xe9 au lait", "not UTF-8 text"), (b"\x00\xff\xfe", "not UTF-8"),
])  # fmt: skip
def test_texts_that_cannot_be_used(tmp_path, content, words):
    (tmp_path / "x.txt").write_bytes(content)
    done = unrolled("train", "x.txt", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["x.txt"]


@pytest.mark.parametrize(("content", "words"), [
    ("label,a,b\nu,1,2\nu,3,4\n", "all sequences have the label 'u'"),
    ("label,a,b,c\nu,1,,3\nv,3,4,5\n", 'line 2, column "b" is empty'),
    ("x\n1\n\n3\n?\n", 'column "x"'), ("label,a\n", "no rows"), ("x\n1\n1\n1\n", "never changes"),
])  # fmt: skip
def test_tables_that_cannot_be_used(tmp_path, content, words):
    (tmp_path / "x.csv").write_text(content)
    done = unrolled("train", "x.csv", cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_line_that_is_very_long_is_shown_in_windows(tmp_path):
    (tmp_path / "x.txt").write_text("ab\ncde\n" * 20 + "abcde" * 400_000 + "\n")
    done = unrolled("train", "x.txt", "--as", "names", "--steps", "60", "--hidden", "4", "--validation", "0",
                    "--batch", "41", cwd=tmp_path)  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="permissions of Unix")
def test_a_folder_without_permission(tmp_path, folder):
    tmp_path.chmod(0o500)
    done = unrolled("train", str(folder / "names.txt"), "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "cannot be written to: Permission denied" in done.stderr


def test_a_training_that_diverges_keeps_the_last_good_model(tmp_path, folder):
    done = unrolled("train", str(folder / "series.csv"), "--cell", "rnn", "--optimiser", "sgd", "--learning-rate",
                    "1e30", "--clip-norm", "inf", "--steps", "50", "--every", "3", "--save-every", "0", "--out", "run",
                    cwd=tmp_path)  # fmt: skip
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    step = int(re.search(r"is not finite at step (\d+)", line)[1])
    assert re.search(r"is not finite at step \d+( \(first \S+⟨\d+⟩ = |: )", line)
    assert "is kept in run" in line
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert len(rows) == step
    net = un.load(tmp_path / "run" / "model.safetensors")
    assert all(np.isfinite(value).all() for value in net.parameters.values())
    assert (tmp_path / "run" / "report.html").exists()
