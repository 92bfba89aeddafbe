"""`unrolled explain EXAMPLE`: the whole calculation, forward and backward, with its numbers."""

import sys
from pathlib import Path

import click
from rich.console import Console

from unrolled.cli import options
from unrolled.cli.output import needs_ascii, say
from unrolled.cli.walking import walk
from unrolled.explaining import numbers
from unrolled.explaining.examples import read_example
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.files import check_ending
from unrolled.explaining.terminal import Terminal


@click.command()
@click.argument("example", default="small", metavar="[EXAMPLE]")
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE",
              help="Write a page (.html), workbook (.xlsx), document (.tex, .md) or the numbers (.json).")  # fmt: skip
@click.option("--step", metavar="t=3:dz_a", help="Show this one step alone, or the sum dW_aa.")
@click.option("--cell", metavar="CELL", help="Another cell: rnn, lstm, gru, … or a cell file.")
@click.option("--text", help="What a run folder's network is to read.")
@options.sizes(None, "Other sizes.")
@click.option("--seed", type=click.IntRange(min=0), help="Of all that is drawn.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="Of what is printed.")  # fmt: skip
def command(
    example: str, out: Path | None, step: str | None, cell: str | None, text: str | None,
    sizes: dict[str, int] | None, seed: int | None, form: str,
) -> None:  # fmt: skip
    """Show every step of a calculation, forward and backward, with its numbers.

    EXAMPLE is small, sequence or saturated; a JSON or .npz file with sizes, x, y and parameters, where
    what is left out is drawn; or a run folder, with --text.

    Where input and output are a terminal, keys walk through the steps; else all of them are printed.

    Example: unrolled explain small --step t=2:dz_a

    Example: unrolled explain sequence --cell lstm -o lstm.html
    """
    if out is not None:
        check_ending(out)
    if step is not None and (out is not None or form == "json"):
        raise click.UsageError("--step is for the terminal: expected no -o and no --format json")
    explanation = read_example(example, cell, seed, sizes, text)
    if out is not None:
        explanation.save(out)
        say(f"Written: {out}", error=form == "json")
    if form == "json":
        click.echo(numbers.to_bytes(explanation), nl=False)
    elif out is None:
        _print(explanation, step)


def _print(explanation: Explanation, step: str | None) -> None:
    """Print one step, walk through all, or print all."""
    console = Console(highlight=False, soft_wrap=True)
    terminal = Terminal(explanation, console.width, needs_ascii())
    if step is not None:
        console.print(terminal.step(explanation.find(step)))
        return
    console.print(terminal.heading())
    if (story := terminal.story()) is not None:
        console.print(story)
    if sys.stdin.isatty() and sys.stdout.isatty():
        walk(terminal, console)
        return
    for k in range(len(explanation.moments)):
        if (begins := terminal.section(k)) is not None:
            console.print(begins)
        console.print(terminal.step(k))
