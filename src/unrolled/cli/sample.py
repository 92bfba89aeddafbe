"""`unrolled sample RUN`: more of what a trained network writes."""

import json
from pathlib import Path
from typing import Any

import click

from unrolled.cli import options
from unrolled.cli.output import say
from unrolled.errors import UnrolledError
from unrolled.threads import threads_for
from unrolled.training.finished import read_run
from unrolled.training.tasks.text import Text


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--prefix", default="", help="What each text begins with.")
@click.option("-n", "--count", "count", type=click.IntRange(1, 10_000), default=10, show_default=True,
              help="Texts.")  # fmt: skip
@click.option("--temperature", type=float, default=1.0, show_default=True,
              help="Below 1 likely characters become likelier, above 1 less so.")  # fmt: skip
@click.option(
    "--top-k", type=click.IntRange(1), help="Choose among the k likeliest characters only."
)
@click.option("--longest", type=click.IntRange(1, options.LARGEST),
              help="Characters of each, at most.  [default: 80 of a line, 300 of prose]")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the choices."
)
@options.own_cell
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True
)
def command(
    run: Path, prefix: str, count: int, temperature: float, top_k: int | None, longest: int | None,
    seed: int, cell: str | None, form: str,
) -> None:  # fmt: skip
    """Write texts with the network in the run folder RUN.

    Example: unrolled sample runs/names --prefix mac --temperature 0.7 -n 5
    """
    finished = read_run(run, cell)
    net, task = finished.net, finished.task
    if not isinstance(task, Text):
        raise UnrolledError(
            f"{run} is of {task.kind} data: expected a run on text, which writes text"
        )
    chosen: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "seed": seed}
    with threads_for(net.sizes["n_a"]):
        texts = task.continued(
            net, prefix, count, **chosen | ({"longest": longest} if longest else {})
        )
    if form == "json":
        click.echo(
            json.dumps({"run": str(run), "prefix": prefix, "texts": texts}, ensure_ascii=False)
        )
    else:
        say(("\n" if task.names else "\n\n---\n\n").join(texts))
