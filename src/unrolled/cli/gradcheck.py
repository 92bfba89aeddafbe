"""`unrolled gradcheck CELL`: proves the gradients of a configuration on random numbers."""

import json
from typing import Any

import click
import numpy as np

from unrolled.cli import options
from unrolled.cli.output import exit_status, say
from unrolled.gradients.check import gradient_check
from unrolled.network import Network


@click.command()
@options.network
@options.sizes("3,5,2,7,4", "Sizes of the problem.")
@click.option(
    "--reduction",
    type=click.Choice(["mean", "batch", "sum"]),
    default="mean",
    show_default=True,
    help="Of the loss over targets.",
)
@click.option("--last", is_flag=True, help="A target at the last step only (many-to-one).")
@click.option(
    "--labels", is_flag=True, help="Integer inputs in place of values (they have no gradient)."
)
@click.option("--layers", type=click.IntRange(1, 100), default=1, show_default=True, help="Layers.")
@click.option("--bidirectional", is_flag=True, help="Each layer in two directions.")
@click.option("--lengths", "padded", is_flag=True, help="Sequences of different lengths.")
@click.option("--scale", type=float, default=1.0, show_default=True,
              help="Multiply all weights and biases; 100 saturates most units.")  # fmt: skip
@click.option("--entries", type=click.IntRange(min=1), default=100, show_default=True,
              help="Entries checked of each gradient.")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of all that is drawn."
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(
    cell: str, activation: str | None, output: str, loss: str | None,
    sizes: dict[str, int], reduction: str, last: bool, labels: bool, layers: int,
    bidirectional: bool, padded: bool, scale: float, entries: int, seed: int, form: str,
) -> int:  # fmt: skip
    """Prove the gradients of CELL: hand-derived against complex step and central differences.

    CELL is rnn (if none is given), lstm, gru, gru_reset_after, or the path of a cell file. For each
    parameter, the input and the initial states it prints how many entries were checked, the largest
    of them, and, relative to it, the largest error against complex step, against central differences
    (— where those drown in rounding), and the rounding measured. Exit status 0: nothing is wrong;
    1: a gradient is wrong; 2: it could not be run, or nothing could be tested.

    Example: unrolled gradcheck lstm --shapes 3,5,2,7,4
    """
    if not np.isfinite(scale):
        raise click.BadParameter(f"{scale} came, expected a finite number", param_hint="--scale")
    net = Network(
        cell, n_x=sizes["n_x"], n_a=sizes["n_a"], n_y=sizes["n_y"],
        activation=activation, output=output, loss=loss, seed=seed, layers=layers,
        bidirectional=bidirectional,
    )  # fmt: skip
    random = np.random.default_rng(seed)
    for parameter in net.parameters.values():
        parameter += 0.1 * random.standard_normal(parameter.shape)  # so that no bias is 0
        parameter *= scale
    X, Y, state = _problem(net, sizes, last, labels, random)
    lengths = random.integers(1, sizes["T"] + 1, sizes["m"]) if padded else None
    report = gradient_check(net, X, Y, state, lengths, reduction, entries, seed=seed)
    if form == "json":
        click.echo(json.dumps(report.to_dict(), indent=1))
    else:
        say(repr(report))
    return exit_status(report.verdict)


def _problem(
    net: Network, sizes: dict[str, int], last: bool, labels: bool, random: np.random.Generator
) -> tuple[Any, Any, Any]:
    """Draw inputs, targets and initial states; some targets are left out where labels allow it."""
    m, T = sizes["m"], sizes["T"]
    shape = (m,) if last else (m, T)
    X: Any = random.standard_normal((sizes["n_x"], m, T))
    if labels:
        X = random.integers(0, sizes["n_x"], (m, T))
    if net.architecture.step.prediction.name == "softmax":
        Y: Any = random.integers(0, sizes["n_y"], shape)
        if Y.size > 1:
            Y.flat[0] = -1
    else:
        Y = random.uniform(0, 1, (sizes["n_y"], *shape))
    state = {s: random.standard_normal((sizes["n_a"], m)) for s in net.architecture.states}
    return X, Y, state
