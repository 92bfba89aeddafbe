"""The commands as a person runs them: what they print, where, and their exit status."""

import json
import math
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli import unrolled

import unrolled as un
from unrolled.cells import rnn
from unrolled.training.sampling import sample


def test_alone_it_prints_three_commands_to_try(tmp_path):
    done = unrolled()
    assert done.returncode == 0
    commands = re.findall(r"^  (unrolled \w+.*?)   ", done.stdout, re.MULTILINE)
    assert len(commands) == 3
    for command in commands[1:]:
        found_wrong = int("check" in command)  # its example is wrong, and is found to be
        assert unrolled(*command.split()[1:], cwd=tmp_path).returncode == found_wrong


@pytest.mark.parametrize(
    "command", ["bench", "check", "demo", "equations", "evaluate", "gradcheck", "sample", "train"]
)
def test_help_has_an_example(command):
    done = unrolled(command, "--help")
    assert done.returncode == 0
    assert f"Example: unrolled {command}" in done.stdout
    assert command in unrolled("--help").stdout


def test_version():
    assert un.__version__ in unrolled("--version").stdout


@pytest.mark.parametrize(("arguments", "words"), [
    (["equations", "elman"], "cell 'elman' is not known"),
    (["equations", "lstm", "--activation", "relu"], "no choice of activation"),
    (["equations", "rnn", "--shapes", "3,5,2,7"], "expected five whole numbers"),
    (["equations", "rnn", "--shapes", "3,5,2,7,0"], "from 1 to 1,000,000"),
    (["gradcheck", "rnn", "--shapes", "9" * 5000 + ",1,1,1,1"], "from 1 to 1,000,000"),
    (["gradcheck", "rnn", "--shapes", "1000001,1,1,1,1"], "from 1 to 1,000,000"),
    (["demo", "--hidden", "9999999999"], "--hidden"),
    (["demo", "--learning-rate", "-1"], "--learning-rate"),
    (["equations", "rnn", "--format", "yaml"], "'yaml'"),
    (["gradcheck", "rnn", "--output", "linear", "--loss", "cross_entropy"], "does not go with"),
    (["gradcheck", "rnn", "--scale", "nan"], "finite"),
    (["gradcheck", "rnn", "--shapes", "3,5,1,7,4"], "no gradient could be tested"),
    (["gradcheck", "missing/cell.py"], "is not there"),
    (["bench", "--shapes", "3,5,2,7"], "expected five whole numbers"),
    (["bench", "--cell", "elman"], "cell 'elman' is not known"),
    (["bench", "--engine", "steam"], "engine 'steam' is not known"),
    (["bench", "--threads", "0"], "--threads"),
    (["bench", "--write", "no-such-folder/page.md"], "no-such-folder"),
    (["trian"], "No such command 'trian'"),
    (["demo", "--cell", "transformer"], "'transformer'"),
    (["demo", "--steps", "0"], "--steps"),
])  # fmt: skip
def test_what_cannot_be_run_is_one_line_on_standard_error(arguments, words):
    done = unrolled(*arguments)
    assert done.returncode == 2
    assert done.stderr.startswith("unrolled: ")
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_equations_in_three_formats():
    text = unrolled("equations", "lstm", "--shapes", "3,5,2,7,4", "--step").stdout
    assert "c⟨t⟩      = Γ_f⟨t⟩ ∘ c⟨t−1⟩ + Γ_i⟨t⟩ ∘ c̃⟨t⟩" in text
    assert "Between steps" in text
    assert "(5, 7)" in text
    assert r"\begin{align*}" in unrolled("equations", "lstm", "--format", "latex").stdout
    data = json.loads(unrolled("equations", "lstm", "--format", "json").stdout)
    assert {"schema", "cell", "source", "equations", "quantities"} <= data.keys()


def test_a_terminal_without_the_symbols_gets_ascii():
    done = unrolled("equations", "gru", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "da_prev<t>" in done.stdout
    assert unrolled("equations", "gru", "--ascii").stdout == done.stdout


@pytest.mark.parametrize("options", [
    [], ["lstm", "--labels", "--last"], ["gru", "--output", "sigmoid", "--reduction", "sum"],
    ["rnn", "--activation", "leaky_relu", "--output", "linear", "--last"],
    ["gru_reset_after", "--shapes", "1,1,1,1,1", "--output", "linear"],
    ["rnn", "--loss", "squared_error", "--entries", "3", "--seed", "5"],
], ids=str)  # fmt: skip
def test_gradcheck_proves_any_configuration(options):
    done = unrolled("gradcheck", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "gradients are right" in done.stdout


def test_gradcheck_says_what_is_not_testable():
    done = unrolled("gradcheck", "rnn", "--scale", "1000")
    assert done.returncode == 0
    assert "not testable" in done.stdout
    assert "is saturated" in " ".join(done.stdout.split())
    assert "are not proved" in done.stdout


def test_gradcheck_finds_a_wrong_cell(tmp_path):
    rnn = un.cells.load_cell("rnn").forward.__code__.co_filename
    with open(rnn, encoding="utf-8") as file:
        source = file.read()
    path = tmp_path / "mine.py"
    path.write_text(source.replace("da = da_y + da_next", "da = da_y - da_next"), encoding="utf-8")
    done = unrolled("gradcheck", str(path))
    assert done.returncode == 1
    assert "WRONG" in done.stdout
    data = unrolled("gradcheck", str(path), "--format", "json")
    assert data.returncode == 1
    assert json.loads(data.stdout)["verdict"] == "wrong"


def test_the_demo_does_what_it_says(tmp_path):
    done = unrolled("demo", "--steps", "15", "--hidden", "16", "--cell", "gru", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for words in ("88,799 surnames", "Before training it writes", "After 15 updates", "log 27",
                  "held back", "trigram", "All 12 gradients are right"):  # fmt: skip
        assert words in done.stdout
    [run] = (tmp_path / "runs").iterdir()
    assert str(run.relative_to(tmp_path)) in done.stdout
    assert {path.name for path in run.iterdir()} == {
        "model.safetensors", "settings.json", "metrics.csv", "loss.png", "samples.txt",
        "gradcheck.json", "checkpoint.safetensors", "report.html", ".lock",
    }  # fmt: skip
    net = un.load(run / "model.safetensors")
    assert net.sizes == {"n_x": 27, "n_a": 16, "n_y": 27}
    _check_what_is_said(done.stdout, net, (run / "samples.txt").read_text(encoding="utf-8"))
    again = unrolled(
        "demo", "--steps", "15", "--hidden", "16", "--cell", "gru", "--out", "b", cwd=tmp_path
    )
    assert again.returncode == 0
    for name in ("model.safetensors", "samples.txt", "gradcheck.json"):
        assert (tmp_path / "b" / name).read_bytes() == (run / name).read_bytes(), name


def _check_what_is_said(output, net, samples):
    """Perplexity and samples are those of the saved model, on lines that were held back."""
    data = un.load_data("names")
    total = count = 0
    for window in data.validation.windows(0):
        total += net.loss(window.X, window.Y, lengths=window.lengths, reduction="sum")
        count += window.targets
    assert count == sum(w.targets for w in data.validation.windows(0)) > 60_000
    said = " ".join(output.split())
    assert f"{total / count:.3f} on names held back" in said
    assert f"a choice among {math.exp(total / count):.2f} equally likely" in said
    texts = sample(net, data.task.vocabulary, 10, "\n", longest=80)
    assert samples.endswith("\n".join(["# the network that is kept", *texts]) + "\n")


def test_a_training_that_diverges_keeps_what_was_learned(tmp_path):
    text = Path(rnn.__file__).read_text(encoding="utf-8").replace("a = g(z_a)", "a = g(1e9 * z_a)")
    text = text.replace("dz_a = g", "dz_a = 1e9 * g").replace('("tanh", ', '("relu", "tanh", ')
    (tmp_path / "boom.py").write_text(text, encoding="utf-8")
    arguments = ["demo", "--cell", "boom.py", "--hidden", "16", "--out", "run"]
    done = unrolled(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert "is not finite at step" in done.stderr
    assert "is kept in run" in done.stderr
    assert "Warning" not in done.stderr
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert len(rows) == int(re.search(r"at step (\d+)", done.stderr)[1])
    un.load(tmp_path / "run" / "model.safetensors", cell=tmp_path / "boom.py")


def test_the_demo_does_not_write_over_a_folder(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    done = unrolled("demo", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "is there already" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise there")
@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_keeps_what_was_learned(tmp_path, times):
    arguments = ["demo", "--steps", "100000", "--hidden", "8", "--cell", "rnn", "--out", "run"]
    with subprocess.Popen(
        [sys.executable, "-u", "-m", "unrolled", *arguments], cwd=tmp_path, text=True,
        encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            if "Before training" in line:
                break
        time.sleep(2)
        for _ in range(times):  # a second one may fall into what comes after the training
            process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert re.search(
        r"stopped after step \d+ and saved; go on with: unrolled train --resume run", errors
    )
    assert "Before training it writes" in output or output == ""
    assert un.load(tmp_path / "run" / "model.safetensors").sizes["n_a"] == 8


@pytest.mark.skipif(sys.platform == "win32", reason="a shell with pipes")
def test_a_reader_that_stops_reading_is_no_error():
    with subprocess.Popen(
        [sys.executable, "-m", "unrolled", "equations", "lstm"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
