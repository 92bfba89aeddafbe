"""`unrolled demo`: trains on real surnames, shows what it does, and proves its gradients."""

import math
import textwrap
from dataclasses import asdict

import click

from unrolled.cli import options
from unrolled.cli.output import exit_status, say
from unrolled.cli.progress import TrainingLine, introduction
from unrolled.gradients.check import gradient_check
from unrolled.network import Network
from unrolled.threads import threads_for
from unrolled.training.optimisers import Adam
from unrolled.training.plan import Plan
from unrolled.training.run_folder import RunFolder
from unrolled.training.tasks import Dataset
from unrolled.training.tasks.loading import load_data
from unrolled.training.train import History, train


@click.command()
@click.option(
    "--cell", default="lstm", show_default=True, help="A name, or the path of a cell file."
)
@click.option(
    "--hidden",
    type=click.IntRange(1, options.LARGEST),
    default=128,
    show_default=True,
    help="Hidden units n_a.",
)
@click.option(
    "--learning-rate", "rate", type=click.FloatRange(0, min_open=True), default=0.005,
    show_default=True, help="Of Adam.",
)  # fmt: skip
@click.option("--steps", type=click.IntRange(1), default=2000, show_default=True, help="Updates.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn."
)
@click.option("--out", type=click.Path(), help="The run folder.  [default: runs/demo-DATE-TIME]")
def command(
    cell: str, hidden: int, rate: float, steps: int, seed: int, out: str | None
) -> int:  # fmt: skip
    """Train a character-level network on United States surnames, and prove its gradients.

    Takes about half a minute. Ctrl-C finishes the update, saves, and says how to go on.

    Example: unrolled demo --cell gru --steps 1000
    """
    with threads_for(hidden):
        data = load_data("names", kind="names", seed=seed)
        net = data.network(cell, hidden, dtype="float32", seed=seed)
        optimiser, plan = Adam(rate), Plan(steps, schedule="cosine", seed=seed)
        with RunFolder(out) if out else RunFolder.named_by_time("demo") as folder:
            say("\n".join(introduction(data, net, optimiser, plan)))
            say(f"\nBefore training it writes:\n  {_listed(data.task.write(net, 10))}\n")
            with TrainingLine("char") as line:
                history = train(net, data, optimiser=optimiser, **asdict(plan), callbacks=[line],
                                out=folder)  # fmt: skip
            return _result(data, net, history, folder, seed)


def _result(data: Dataset, net: Network, history: History, folder: RunFolder, seed: int) -> int:
    """Say what was learned, prove the gradients, and say where it all is."""
    measures, n, last = history.measures, net.sizes["n_y"], history.updates[-1]
    trigram = data.references["a trigram model"]["perplexity"]
    say(
        f"After {last.step} updates it writes:\n  {_listed(data.task.write(net, 10))}\n\n"
        f"Loss per character: {math.log(n):.3f} = log {n} by chance, {measures['loss']:.3f} on names held "
        f"back: as\nunsure as a choice among {measures['perplexity']:.2f} equally likely characters, not {n}; "
        f"a trigram\nmodel of the same names reaches {trigram:.2f}. {last.seconds:.0f} s of training.\n\n"
        "Is it right? The gradients of this very network, on a float64 copy of it:\n"
    )
    assert data.validation is not None
    window = next(data.validation.windows(0))
    few = slice(8)
    report = gradient_check(net, window.X[few], window.Y[few], lengths=None if window.lengths is None else window.lengths[few],
                            entries=6, directions=3, seed=seed)  # fmt: skip
    folder.write_json("gradcheck.json", report.to_dict())
    say(repr(report))
    files = _listed(sorted(path.name for path in folder.path.glob("[!.]*")))
    say(f"\nThe run is in {folder.path}\n  {files}")
    return exit_status(report.verdict)


def _listed(names: list[str]) -> str:
    return "\n  ".join(textwrap.wrap(", ".join(filter(None, names)), 76))
