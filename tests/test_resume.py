"""A run that was killed, interrupted or stopped by a full disk ends as if nothing had happened."""

import csv
import functools
import json
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from cli import unrolled

import unrolled as un
from unrolled import tensor_file
from unrolled.cli import main
from unrolled.data.surnames import surnames
from unrolled.data.windows import Stream
from unrolled.training.run_folder import RunFolder, read_settings

HERE = Path(__file__).parent
SAME = ("model.safetensors", "checkpoint.safetensors", "samples.txt")
unix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of Unix")
OPTIONS = ["--hidden", "6", "--every", "20", "--batch", "16", "--layers", "2", "--dropout", "0.2"]


@pytest.fixture(scope="module")
def names(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "names.txt"
    path.write_text("\n".join(surnames()[:600]), encoding="utf-8")
    return path


def _losses(folder):
    with open(folder / "metrics.csv", encoding="utf-8", newline="") as file:
        return [(row["step"], row["loss"], row["validation_loss"]) for row in csv.DictReader(file)]


def _assert_same(one, other):
    for name in SAME:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    assert _losses(one) == _losses(other)


@unix
@pytest.mark.parametrize("seed", range(4))
def test_killed_at_many_moments(tmp_path, seed):
    """Dozens of times: before, in the middle of and after writing, syncing and renaming."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", HERE / "killed_run.py", tmp_path, str(seed)],
        capture_output=True, text=True, cwd=HERE, check=False, env=os.environ | {"PYTHONUTF8": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 20
    _assert_same(tmp_path / "run", tmp_path / "warm-up")
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left == {path.name for path in (tmp_path / "warm-up").iterdir()}, "nothing is left over"


@unix
def test_a_command_that_is_killed_goes_on(tmp_path, names):
    arguments = ["train", str(names), "--steps", "400", *OPTIONS]
    assert unrolled(*arguments, "--out", "whole", cwd=tmp_path).returncode == 0
    start = [*arguments, "--out", "cut", "--save-every", "0"]
    wanted, kills = 40, 0
    while True:
        process = subprocess.Popen([sys.executable, "-m", "unrolled", *start], cwd=tmp_path,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # fmt: skip
        while process.poll() is None and _rows(tmp_path / "cut") < wanted:
            time.sleep(0.003)
        process.kill()
        errors = process.communicate()[1].decode()
        if process.returncode == 0:
            break
        assert process.returncode == -signal.SIGKILL, errors
        wanted, kills = _rows(tmp_path / "cut") + 70, kills + 1
        start = ["train", "--resume", "cut", "--save-every", "0"]
    assert kills >= 3
    _assert_same(tmp_path / "whole", tmp_path / "cut")


def _rows(folder):
    try:
        return (folder / "metrics.csv").read_bytes().count(b"\n")
    except OSError:
        return 0


@unix
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_finishes_the_update_saves_and_says_how_to_go_on(tmp_path, names, number):
    arguments = ["train", str(names), "--steps", "300", *OPTIONS]
    assert unrolled(*arguments, "--out", "whole", cwd=tmp_path).returncode == 0
    process = subprocess.Popen(
        [sys.executable, "-m", "unrolled", *arguments, "--out", "cut", "--save-every", "0"],
        cwd=tmp_path, text=True, encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    while _rows(tmp_path / "cut") < 31:  # with the header
        time.sleep(0.003)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    line, *more = errors.strip().splitlines()  # behind the ^C of a terminal
    assert not more, errors
    assert line.startswith("unrolled: stopped after step ")
    command = line.partition("go on with: unrolled ")[2].split()
    assert command == ["train", "--resume", "cut"]
    assert 29 <= len(_losses(tmp_path / "cut")) < 300
    assert (tmp_path / "cut" / "report.html").exists()
    assert unrolled(*command, cwd=tmp_path).returncode == 0
    _assert_same(tmp_path / "whole", tmp_path / "cut")
    assert unrolled(*command, cwd=tmp_path).returncode == 0, "a run that is over may be asked again"
    _assert_same(tmp_path / "whole", tmp_path / "cut")


def test_a_run_goes_on_with_more_steps(tmp_path, names):
    more = ["--schedule", "constant", *OPTIONS, "--every", "25"]
    assert (
        unrolled(
            "train", str(names), "--steps", "100", "--out", "whole", *more, cwd=tmp_path
        ).returncode
        == 0
    )
    assert (
        unrolled(
            "train", str(names), "--steps", "50", "--out", "cut", *more, cwd=tmp_path
        ).returncode
        == 0
    )
    assert len(_losses(tmp_path / "cut")) == 50
    assert unrolled("train", "--resume", "cut", "--steps", "100", cwd=tmp_path).returncode == 0
    assert _losses(tmp_path / "whole") == _losses(tmp_path / "cut")


@unix
def test_a_full_disk_loses_nothing(tmp_path, names):
    """The size of a file is limited, as it is where a disk is full: what was there stays."""
    arguments = ["train", str(names), "--steps", "60", *OPTIONS]
    assert unrolled(*arguments, "--out", "whole", cwd=tmp_path).returncode == 0
    limit = "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)); "
    code = limit + "from unrolled.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments, "--out", "cut", "--save-every", "0"], cwd=tmp_path,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert "cannot be written: File too large" in line
    assert not [
        path
        for path in (tmp_path / "cut").iterdir()
        if path.name.startswith(".") and path.name != ".lock"
    ]
    assert unrolled("train", "--resume", "cut", cwd=tmp_path).returncode == 0
    _assert_same(tmp_path / "whole", tmp_path / "cut")


def _python_run(folder, resume=False, steps=10, n_a=4, seed=0, labels=None):
    labels = [0, 1, 2, 1] * 30 if labels is None else labels
    source = Stream(np.array(labels[:-1]), np.array(labels[1:]), 2, 5)
    net = un.Network("gru", n_x=3, n_a=n_a, n_y=3, seed=seed)
    return un.train(net, source, steps=steps, out=folder, resume=resume)


def test_python_runs_go_on_too(tmp_path):
    _python_run(tmp_path / "whole", steps=20)
    _python_run(tmp_path / "cut", steps=10)
    _python_run(tmp_path / "cut", resume=True, steps=20)
    for name in SAME[:2]:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


@pytest.mark.parametrize(("change", "words"), [
    ({"n_a": 5}, "the run was made with n_a 4, and 5 came"), ({"seed": 1}, "made with seed 0, and 1 came"),
    ({"labels": [0, 1, 2, 2] * 30}, "the data are not those of the run"),
])  # fmt: skip
def test_another_run_is_not_taken_for_the_same(tmp_path, change, words):
    _python_run(tmp_path / "run")
    before = (tmp_path / "run" / "checkpoint.safetensors").read_bytes()
    with pytest.raises(un.UnrolledError, match=words):
        _python_run(tmp_path / "run", resume=True, steps=20, **change)
    assert (tmp_path / "run" / "checkpoint.safetensors").read_bytes() == before


def test_two_runs_into_one_folder(tmp_path):
    folder = tmp_path / "run"
    with (
        RunFolder(folder),
        pytest.raises(un.UnrolledError, match=f"another run is writing into {folder}"),
    ):
        _python_run(folder)
    _python_run(folder)
    with (
        RunFolder(folder, go_on=True),
        pytest.raises(un.UnrolledError, match="another run is writing"),
    ):
        _python_run(folder, resume=True)
    with pytest.raises(
        un.UnrolledError, match="is there already: name another folder with --out, or go on"
    ):
        _python_run(folder)


@unix
def test_the_command_refuses_a_folder_in_use(tmp_path, names):
    with RunFolder(tmp_path / "run"):
        done = unrolled("train", str(names), "--steps", "3", "--out", "run", cwd=tmp_path)
    assert done.returncode == 2
    assert "another run is writing into run" in done.stderr


def test_a_model_is_not_written_into_a_run_that_goes_on(tmp_path):
    net = un.Network("gru", n_x=3, n_a=4, n_y=3)
    with (
        RunFolder(tmp_path / "run"),
        pytest.raises(un.UnrolledError, match="another run is writing into"),
    ):
        un.save(net, tmp_path / "run" / "model.safetensors")
    un.save(net, tmp_path / "run" / "model.safetensors")


@pytest.mark.parametrize(("name", "value"), [
    ("network", None), ("place", 7), ("place.step", None), ("place.epoch", -1), ("place.window", 0.5),
    ("place.worse", "x"), ("place.best_loss", "x"), ("place.samples", 7), ("place.samples", [{}]),
    ("place.samples", [{"step": 1, "texts": [7]}]), ("optimiser", []), ("optimiser.steps", "x"),
])  # fmt: skip
def test_a_checkpoint_that_someone_made_is_said(tmp_path, name, value):
    _python_run(tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.safetensors"
    content, tensors = tensor_file.read(path, "checkpoint")
    *inside, last = name.split(".")
    functools.reduce(operator.getitem, inside, content)[last] = value
    tensor_file.write(path, "checkpoint", content, tensors)
    with pytest.raises(un.UnrolledError, match=f"checkpoint {path}"):
        _python_run(tmp_path / "run", resume=True, steps=20)


def test_a_damaged_checkpoint_is_said(tmp_path):
    _python_run(tmp_path / "run")
    path = tmp_path / "run" / "checkpoint.safetensors"
    whole = path.read_bytes()
    for damaged in (b"", whole[:100], whole[:-20] + bytes(20), b"\0" * len(whole)):
        path.write_bytes(damaged)
        with pytest.raises(un.UnrolledError, match=f"checkpoint {path}"):
            _python_run(tmp_path / "run", resume=True, steps=20)
        assert path.read_bytes() == damaged


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"network": {}, "data": {}}', "\0", "[" * 100_000]
)
def test_damaged_settings_are_said(tmp_path, names, text):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").write_text(text)
    for arguments in (
        ["train", "--resume", "run"],
        ["sample", "run"],
        ["evaluate", "run", str(names)],
    ):
        done = unrolled(*arguments, cwd=tmp_path)
        assert done.returncode == 2
        assert len(done.stderr.splitlines()) == 1
        assert "settings" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes there")
def test_a_name_that_is_no_utf_8(tmp_path):
    name = os.fsdecode(b"n\xffames.txt")
    (tmp_path / name).write_text("anna\nbert\ncarl\ndora\nemil\n")
    run = os.fsdecode(b"r\xffun")
    for arguments in (["train", name, "--hidden", "4", "--steps", "2", "--out", run],
                      ["train", "--resume", run, "--steps", "3"], ["evaluate", run, name]):  # fmt: skip
        done = subprocess.run([sys.executable, "-m", "unrolled", *arguments], cwd=tmp_path,
                              capture_output=True, check=False)  # fmt: skip
        assert (done.returncode, done.stderr) == (0, b"")
    settings = json.loads((tmp_path / run / "settings.json").read_text("utf-8"))
    assert settings["data"]["origin"]["source"] == str(tmp_path / name)


@unix
def test_settings_that_may_not_be_read_are_not_damaged(tmp_path, monkeypatch):
    def denied(*_):
        raise PermissionError(13, "Permission denied")

    _python_run(tmp_path / "run")
    monkeypatch.setattr(Path, "read_bytes", denied)
    with pytest.raises(un.UnrolledError, match=r"settings.json cannot be read: Permission denied"):
        read_settings(tmp_path / "run")


def _places(value, place=()):
    """Every place in settings, by the keys that lead there."""
    yield place
    keys = (
        value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    )
    for key in keys:
        yield from _places(value[key], (*place, key))


JUNK = [None, True, -1, 7, 1e308, float("nan"), "", "x", "\0", [], {}, [None], {"x": 1}, ["x", 1]]


@pytest.mark.parametrize("data", ["names", "sequences", "series", "adding"])
def test_any_change_of_settings_works_or_is_said(tmp_path, monkeypatch, capsys, names, data):
    """One place after the other is something else, or is not there."""
    monkeypatch.chdir(tmp_path)
    Path("sequences.csv").write_text("id,x,label\n1,1,a\n1,2,a\n2,3,b\n3,1,a\n4,2,b\n5,2,b\n")
    Path("series.csv").write_text("x\n" + "\n".join(map(str, range(20))))
    file = {"names": str(names), "adding": "adding"}.get(data, f"{data}.csv")

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["unrolled", *arguments])
        return main._run()

    assert run("train", file, "--length", "5", "--hidden", "2", "--steps", "2", "--out", "run") == 0
    assert capsys.readouterr().err == ""
    whole = Path("run/settings.json").read_text("utf-8")
    places = [place for place in _places(json.loads(whole)) if place]
    for k, place in enumerate(places):
        for junk in (JUNK[k % len(JUNK)], ...):
            settings = json.loads(whole)
            inside = functools.reduce(operator.getitem, place[:-1], settings)
            if junk is ...:
                del inside[place[-1]]
            else:
                inside[place[-1]] = junk
            commands = [["evaluate", "run"], ["evaluate", "run", file], ["sample", "run"],
                        ["train", "--resume", "run", "--steps", "2"]]  # fmt: skip
            for command in commands[k % 2 :: 2]:
                Path("run/settings.json").write_text(json.dumps(settings), "utf-8")
                status, errors = run(*command), capsys.readouterr().err
                assert (status, len(errors.splitlines())) in ((0, 0), (2, 1)), (place, junk, errors)


@pytest.mark.parametrize("damaged", ["3,1,x,,1,False,1,1,1", "²,1,1,,1,False,1,1,1", "3,1,1,,1,False,1,1,nan",
                                     "3,1,1,x,1,False,1,1,1", "9" * 5000 + ",1,1,,1,False,1,1,1"])  # fmt: skip
def test_a_row_of_metrics_that_is_no_update_is_left_out(tmp_path, damaged):
    _python_run(tmp_path / "run")
    path = tmp_path / "run" / "metrics.csv"
    header, first, *rows = path.read_text("utf-8").splitlines(keepends=True)
    path.write_text("".join([header, first, f"{damaged}\n", *rows]), "utf-8")
    _python_run(tmp_path / "run", resume=True, steps=12)
    assert [row[0] for row in _losses(tmp_path / "run")] == [str(k) for k in range(1, 13)]


def test_metrics_that_were_cut_off_in_a_row(tmp_path):
    _python_run(tmp_path / "run")
    path = tmp_path / "run" / "metrics.csv"
    whole = path.read_bytes()
    path.write_bytes(whole + b"11,1,0.5")
    _python_run(tmp_path / "run", resume=True)
    assert path.read_bytes() == whole


@pytest.mark.parametrize(
    "ends", [["--epochs", "2"], ["--steps", "500", "--patience", "1"]], ids=str
)
def test_a_run_that_is_over_stays_as_it_is(tmp_path, names, ends):
    """Even where it was stopped between its last checkpoint and its report."""
    rate = ["--learning-rate", "0.5"] if "--patience" in ends else []
    arguments = ["train", str(names), *ends, *rate, *OPTIONS, "--out", "run"]
    done = unrolled(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    ended_by = "patience" if "--patience" in ends else "epochs"
    assert f"ended by {ended_by}" in done.stdout
    before = {name: (tmp_path / "run" / name).read_bytes() for name in SAME}
    rows = _losses(tmp_path / "run")
    (tmp_path / "run" / "samples.txt").unlink()
    again = unrolled("train", "--resume", "run", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert {name: (tmp_path / "run" / name).read_bytes() for name in SAME} == before
    assert _losses(tmp_path / "run") == rows
    if "--patience" in ends:
        more = unrolled("train", "--resume", "run", "--patience", "0", "--steps", str(len(rows) + 5),
                        cwd=tmp_path)  # fmt: skip
        assert more.returncode == 0, more.stderr
        assert len(_losses(tmp_path / "run")) == len(rows) + 5


@unix
def test_a_reader_that_stops_reading_loses_nothing(tmp_path, names):
    arguments = ["train", str(names), "--steps", "100", *OPTIONS, "--format", "json"]
    assert unrolled(*arguments, "--out", "whole", cwd=tmp_path).returncode == 0
    with subprocess.Popen(
        [sys.executable, "-m", "unrolled", *arguments, "--out", "cut"], cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.readline()
        process.stdout.close()
        process.stderr.read()
    assert (tmp_path / "cut" / "checkpoint.safetensors").exists()
    assert unrolled("train", "--resume", "cut", cwd=tmp_path).returncode == 0
    _assert_same(tmp_path / "whole", tmp_path / "cut")


def test_a_callback_that_fails_loses_nothing(tmp_path):
    def fail(update, training):
        if update.step == 4:
            raise ZeroDivisionError

    labels = np.array([0, 1, 2, 1] * 30)
    net = un.Network("gru", n_x=3, n_a=4, n_y=3)
    with pytest.raises(ZeroDivisionError):
        un.train(
            net,
            Stream(labels[:-1], labels[1:], 2, 5),
            steps=10,
            out=tmp_path / "run",
            callbacks=[fail],
        )
    assert len(_losses(tmp_path / "run")) == 4
    _python_run(tmp_path / "run", resume=True)
    _python_run(tmp_path / "whole")
    for name in SAME[:2]:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "run" / name).read_bytes()
