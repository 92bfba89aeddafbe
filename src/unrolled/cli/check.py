"""`unrolled check FILE`: which line of a person's own network is wrong first, and why."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from unrolled import checking
from unrolled.checking.binding import binding_source
from unrolled.checking.printing import formats
from unrolled.checking.printing.hints import FULL
from unrolled.checking.printing.phrases import verdict
from unrolled.checking.printing.text import to_rich
from unrolled.checking.report import Report
from unrolled.checking.sandbox.process import walked
from unrolled.checking.sources import Source
from unrolled.checking.walk import Walk
from unrolled.cli.output import needs_ascii, say
from unrolled.errors import UnrolledError
from unrolled.explaining.checked import explained
from unrolled.explaining.files import check_ending

EXAMPLE = Path(checking.__file__).with_name("example.py.txt")
_STATUS = {"right": 0, "wrong": 1, "could-not-run": 2}


@click.command()
@click.argument("files", nargs=-1, metavar="FILE...")
@click.option("--example", is_flag=True, help="Check a wrong file that comes with the package.")
@click.option("--hints", type=click.IntRange(0, FULL), default=FULL, show_default=True,
              help="How much is told. 0: where; 1: and what; 2: and by which equation; 3: all.")  # fmt: skip
@click.option("--binding", type=click.Path(), metavar="FILE",
              help="A Python file that says how to run a program that nothing else fits.")  # fmt: skip
@click.option("-o", "--out", type=click.Path(path_type=Path), metavar="FILE",
              help="Write the calculation with yours beside it: a page (.html), or as `unrolled explain` does.")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, 3600, min_open=True), default=60, show_default=True,
              help="The longest that the check of a file may take.")  # fmt: skip
@click.option(
    "--show-output", is_flag=True, help="Show on standard error what the program printed."
)
@click.option("--format", "form", type=click.Choice(["text", "json", "junit", "md"]), default="text",
              show_default=True)  # fmt: skip
def command(
    files: tuple[str, ...], example: bool, hints: int, binding: str | None, out: Path | None,
    seconds: float, show_output: bool, form: str,
) -> int:  # fmt: skip
    """Find the first wrong line in your own NumPy RNN, LSTM or GRU, and what is wrong there.

    Functions, a class, or a script; forward and backward are run on small fresh problems, in a process
    of their own that is stopped after --seconds. Exit status 0: nothing is wrong; 1: something is; 2: it
    could not be run; of several files the worst.

    Example: unrolled check my_rnn.py

    Example: unrolled check --example

    Example: unrolled check my_rnn.py -o page.html
    """
    if example:
        files = (*files, str(EXAMPLE))
        say(f"The example is {EXAMPLE}\n", error=form != "text")
    if not files:
        raise click.UsageError("no FILE came: expected a Python file, or --example")
    if out is not None:
        check_ending(out)
        if len(files) > 1:
            raise UnrolledError(f"{len(files)} programs came for one {out.name}: expected one")
    bound = None if binding is None else binding_source(binding)
    reports: list[Report] = []
    walks: list[Walk | None] = []
    for report, walk in _reports(files, bound, seconds, out is not None):
        if form == "text":
            _print(report, hints)
        if show_output and report.printed:
            say(f"{report.file} printed:\n{report.printed.rstrip()}", error=True)
        reports.append(report)
        walks.append(walk)
    _write(reports, hints, form)
    if out is not None:
        _explain(reports[0], walks[0], out, form)
    return max(_STATUS[report.verdict] for report in reports)


def _reports(
    files: tuple[str, ...], binding: Source | None, seconds: float, walk: bool
) -> Iterator[tuple[Report, Walk | None]]:
    """Check one file after the other; a terminal shows which. With `walk` there is what is to be shown."""
    console = Console(stderr=True, highlight=False)
    for name in files:
        line = console.status(f"checking {name} …", spinner="line")
        with line if console.is_terminal else contextlib.nullcontext():
            try:
                found = walked(name, binding=binding, seconds=seconds, walk=walk)
            except UnrolledError as error:
                found = Report("could-not-run", file=name, untestable=(f"{error}.",)), None
        yield found


def _explain(report: Report, walk: Walk | None, out: Path, form: str) -> None:
    """Write the right calculation with theirs beside it, where their network could be run."""
    if walk is not None:
        explained(walk, report.file).save(out)
        say(f"Written: {out}", error=form != "text")
    elif report.verdict != "could-not-run":
        say(
            f"unrolled: {out} was not written: there is no run of {report.file} to show", error=True
        )


def _print(report: Report, hints: int) -> None:
    """Print a report as text; one line on standard error where there is nothing to report."""
    if report.verdict == "could-not-run":
        return _refuse(report)
    console = Console(highlight=False, soft_wrap=True)
    console.print(to_rich(report, hints, needs_ascii(), console.width))


def _refuse(report: Report) -> None:
    say(f"unrolled: {' '.join(verdict(report).split())}", error=True)


def _write(reports: list[Report], hints: int, form: str) -> None:
    """Print the reports as a document, which has standard output to itself."""
    if form == "text":
        return
    for report in reports:
        if report.verdict == "could-not-run":
            _refuse(report)
    if form == "json":
        click.echo(formats.to_json(reports, hints))
    elif form == "junit":
        click.echo(formats.to_junit(reports, hints), nl=False)
    else:
        say("\n---\n\n".join(formats.to_markdown(report, hints) for report in reports).rstrip())
