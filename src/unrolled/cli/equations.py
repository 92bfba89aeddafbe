"""`unrolled equations CELL`: the equations, from running the code on symbols."""

import json

import click

from unrolled.cli import options
from unrolled.cli.output import needs_ascii, say
from unrolled.engines.compiled.listing import kernel_text
from unrolled.equations import printers
from unrolled.equations.schedule_printer import schedule_text
from unrolled.equations.step import build_step
from unrolled.equations.table import record


@click.command()
@options.network
@options.sizes(None, "Put sizes in place of the names.")
@click.option("--step", "links", is_flag=True, help="Show what ties a step to its neighbours.")
@click.option(
    "--schedule",
    "scheduled",
    is_flag=True,
    help="Print what runs over all time, what at each step, and why.",
)
@click.option(
    "--kernel", is_flag=True, help="Print what the compiled engine compiles, with its equations."
)
@click.option("--format", "form", type=click.Choice(["text", "latex", "json"]), default="text",
              show_default=True)  # fmt: skip
@click.option("--ascii", is_flag=True, help="Print ASCII only.")
def command(
    cell: str, activation: str | None, output: str, loss: str | None,
    sizes: dict[str, int] | None, links: bool, scheduled: bool, kernel: bool, form: str,
    ascii: bool,
) -> None:  # fmt: skip
    """Print the forward and backward equations of CELL with its output layer and loss.

    They are recorded from the code itself, run on symbols. CELL is rnn (if none is given), lstm, gru,
    gru_reset_after, or the path of a cell file.

    Example: unrolled equations lstm --shapes 3,5,2,7,4
    """
    table = record(build_step(cell, activation, output, loss))
    if scheduled or kernel:
        if form != "text":
            option = "--schedule" if scheduled else "--kernel"
            raise click.UsageError(f"{option} is text, and --format {form} came")
        say((schedule_text if scheduled else kernel_text)(table, ascii or needs_ascii()))
    elif form == "json":
        click.echo(json.dumps(printers.to_dict(table, sizes), indent=1))
    elif form == "latex":
        say(printers.to_latex(table, sizes, links))
    else:
        say(printers.to_text(table, sizes, links, ascii or needs_ascii()))
