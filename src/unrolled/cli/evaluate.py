"""`unrolled evaluate RUN FILE`: how well a trained network does on other data."""

import json
from pathlib import Path

import click

from unrolled.cli import options
from unrolled.cli.output import say
from unrolled.threads import threads_for
from unrolled.training.finished import read_run


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("file", required=False, metavar="[FILE]")
@options.own_cell
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(run: Path, file: str | None, cell: str | None, form: str) -> None:
    """Say loss, and perplexity, accuracy or error, of the network in RUN on FILE.

    FILE is of the kind that the run was trained on, and read in the same way; without FILE it is what
    the run held back.

    Example: unrolled evaluate runs/names other-names.txt
    """
    finished = read_run(run, cell)
    source = finished.held_back() if file is None else finished.read(file)
    with threads_for(finished.net.sizes["n_a"]):
        measures = finished.task.measures(finished.net, source)
    if form == "json":
        click.echo(json.dumps({"run": str(run), "data": file, "measures": measures}))
        return
    listed = ", ".join(f"{name} {value:.6g}" for name, value in measures.items())
    say(f"On {file or 'what was held back'}: {listed}")
