"""`unrolled explain EXAMPLE`: the whole calculation, forward and backward, with its numbers."""

from pathlib import Path

import click

from unrolled.cli import options
from unrolled.cli.output import say
from unrolled.explaining.examples import read_example
from unrolled.explaining.files import check_ending


@click.command()
@click.argument("example", default="small", metavar="[EXAMPLE]")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a page (.html), workbook (.xlsx), document (.tex, .md) or the numbers (.json).")  # fmt: skip
@click.option("--step", metavar="t=3:dz_a", help="Show this one step alone, or the sum dW_aa.")
@click.option("--cell", metavar="CELL", help="Another cell: rnn, lstm, gru, … or a cell file.")
@click.option("--text", help="What a run folder's network is to read.")
@options.sizes(None, "Other sizes.")
@click.option("--seed", type=click.IntRange(min=0), help="Of all that is drawn.")
def command(
    example: str, out: Path | None, step: str | None, cell: str | None, text: str | None,
    sizes: dict[str, int] | None, seed: int | None,
) -> None:  # fmt: skip
    """Show every step of a calculation, forward and backward, with its numbers.

    EXAMPLE is small, sequence or saturated; a JSON or .npz file with sizes, x, y and parameters, where
    what is left out is drawn; or a run folder, with --text.

    Example: unrolled explain small

    Example: unrolled explain sequence --cell lstm -o lstm.html
    """
    if out is not None:
        check_ending(out)
    explanation = read_example(example, cell, seed, sizes)
    if out is not None:
        explanation.save(out)
        say(f"Written: {out}")
