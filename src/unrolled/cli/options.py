"""Options that several commands share."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from unrolled.activations import ACTIVATIONS
from unrolled.outputs import PREDICTIONS

Command = TypeVar("Command", bound=Callable[..., Any])
NAMES = ("n_x", "n_a", "n_y", "m", "T")
LARGEST = 1_000_000  # the bytes of three such sizes multiplied can still be counted


def _is_size(text: str) -> bool:
    """Whether a text is a size; Python refuses to read numbers of thousands of digits."""
    return text.isascii() and text.isdigit() and len(text) < 10 and 1 <= int(text) <= LARGEST


def _sizes(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> dict[str, int] | None:
    return None if value is None else _read(value)


def _read(value: str) -> dict[str, int]:
    """Read n_x,n_a,n_y,m,T."""
    parts = value.replace(" ", "").split(",")
    if len(parts) != len(NAMES) or not all(map(_is_size, parts)):
        raise click.BadParameter(
            f"{value!r} came, expected five whole numbers from 1 to {LARGEST:,} for {', '.join(NAMES)}, as 3,5,2,7,4"
        )
    return dict(zip(NAMES, map(int, parts), strict=True))


def sizes(default: str | None, help: str) -> Callable[[Command], Command]:
    """--shapes n_x,n_a,n_y,m,T, as a dictionary."""
    return click.option("--shapes", "sizes", metavar="N_X,N_A,N_Y,M,T", default=default,
                        show_default=True, callback=_sizes, help=help)  # fmt: skip


def several_sizes(default: Sequence[Sequence[int]], help: str) -> Callable[[Command], Command]:
    """--shapes n_x,n_a,n_y,m,T, as often as wanted, as a list of dictionaries."""

    def read(_: Any, __: Any, values: Sequence[str]) -> list[dict[str, int]]:
        return list(map(_read, values)) or [dict(zip(NAMES, d, strict=True)) for d in default]

    return click.option("--shapes", metavar="N_X,N_A,N_Y,M,T", multiple=True, callback=read,
                        help=help)  # fmt: skip


def network(command: Command) -> Command:
    """The cell and what goes with it: CELL, --activation, --output, --loss."""
    hidden = [name for name in ACTIVATIONS if name not in ("softmax", "linear")]
    losses = ["cross_entropy", "squared_error"]
    for option in reversed([
        click.argument("cell", default="rnn", metavar="[CELL]"),
        click.option("--activation", type=click.Choice(hidden), help="Of the plain cell (rnn)."),
        click.option("--output", type=click.Choice(list(PREDICTIONS)), default="softmax", show_default=True,
                     help="What the logits become."),
        click.option("--loss", type=click.Choice(losses), help="The output's own, if not said."),
    ]):  # fmt: skip
        command = option(command)
    return command


def own_cell(command: Command) -> Command:
    """--cell PATH, for a run with a cell that is not in the package."""
    return click.option("--cell", type=click.Path(),
                        help="The cell file, where the run has one of its own.")(command)  # fmt: skip
