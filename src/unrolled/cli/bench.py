"""`unrolled bench`: loss and all gradients, timed beside what a user would pick instead."""

import itertools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits

from unrolled.benchmark import machine, peers
from unrolled.benchmark.cases import CELLS, SHAPES, Case
from unrolled.benchmark.contenders import engine_title
from unrolled.benchmark.measuring import Row, measure, measure_peaks
from unrolled.benchmark.report import Report
from unrolled.benchmark.timing import PAUSE
from unrolled.cells import load_cell
from unrolled.cli import options
from unrolled.cli.output import say
from unrolled.errors import UnrolledError
from unrolled.threads import limited, usual_threads

_DTYPES = ("float32", "float64")


@click.command()
@click.option("--cell", "cells", multiple=True, default=CELLS, show_default=True,
              help="May be given more than once, as may shapes, dtype and engine.")  # fmt: skip
@options.several_sizes(SHAPES, "Sizes of a case.  [default: eight, from small to large]")
@click.option("--dtype", "dtypes", multiple=True, type=click.Choice(_DTYPES), default=_DTYPES,
              show_default=True)  # fmt: skip
@click.option("--engine", "engines", multiple=True, default=("auto",), show_default=True,
              help="Of ours; ratios refer to the first.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024),
              help="For everyone.  [default: as NumPy's products are set]")  # fmt: skip
@click.option("--seconds", type=click.FloatRange(0, 3600), default=3.0, show_default=True,
              help="For a case, everyone together.")  # fmt: skip
@click.option("--pause/--no-pause", default=True, show_default=True,
              help="60 ms between two, so that idle threads of one do not slow the next.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text",
              show_default=True)  # fmt: skip
@click.option("--write", "page", type=click.Path(path_type=Path),
              help="Write a page in Markdown too, and its pictures into images/ beside it.")  # fmt: skip
def command(
    cells: Sequence[str], shapes: Sequence[dict[str, int]], dtypes: Sequence[str],
    engines: Sequence[str], threads: int | None, seconds: float, pause: bool, form: str,
    page: Path | None,
) -> int:  # fmt: skip
    """Time loss and all parameter gradients beside PyTorch and JAX, where they are installed.

    All compute on the same inputs with the same weights, threads and dtype, in turns; before they are
    timed, their loss and gradients are compared. Exit status 0: all agree; 1: one computes something
    else, and was not timed; 2: it could not be run.

    Example: unrolled bench --cell lstm --shapes 27,100,27,32,50 --dtype float32
    """
    engines = list({engine_title(engine): engine for engine in reversed(engines)}.values())[::-1]
    for cell in cells:
        load_cell(cell)
    if page is not None:
        _check_place(page)
    asked = itertools.product(cells, dtypes, shapes)
    cases = list(dict.fromkeys(Case(cell, dtype=dtype, **sizes) for cell, dtype, sizes in asked))
    threads = threads or usual_threads()
    there, versions, missing = _peers(threads)
    with threadpool_limits(limits=threads), limited(threads):
        gap = PAUSE if pause else 0.0
        peaks = measure_peaks(list(dict.fromkeys(dtypes)), there, gap)
        rows = _measured(cases, lambda case: measure(case, engines, there, seconds, gap))
        here = machine.describe(threads, versions)
    report = Report(rows, here, peaks, missing, machine.remark_here(), gap, len(cases))
    return _deliver(report, form, page)


def _deliver(report: Report, form: str, page: Path | None) -> int:
    """Print the report and write its page; one that was stopped replaces no page."""
    if form == "json":
        click.echo(json.dumps(report.to_dict(), indent=1))
    else:
        say(report.to_text())
    if len(report.rows) < report.planned:
        kept = f"; {page} was not written" if page else ""
        raise KeyboardInterrupt(
            f"stopped after {len(report.rows)} of {report.planned} cases{kept}"
        )  # fmt: skip
    if page is not None:
        say(f"Wrote {', '.join(map(str, [page, *report.write(page)]))}", error=True)
    return 1 if report.refused else 0


def _peers(threads: int) -> tuple[list[ModuleType], dict[str, str], dict[str, str]]:
    """Import the peers that are installed; return them, their versions, and who is missing and why."""
    there, versions, missing = [], {}, {}
    for peer in peers.all_peers():
        if not peers.is_installed(peer):
            missing[peer.title] = f"which is not installed: pip install {peer.package}"
            continue
        try:
            versions[peer.title] = peer.prepare(threads)
            there.append(peer)
        except (ImportError, OSError, RuntimeError) as error:
            missing[peer.title] = f"which does not start: {str(error).splitlines()[0]}"
    return there, versions, missing


def _measured(cases: Sequence[Case], measure_one: Callable[[Case], Row]) -> list[Row]:
    """Measure case after case; Ctrl-C ends it with those that are done."""
    rows: list[Row] = []
    with _progress() as progress:
        task = progress.add_task("", total=len(cases))
        try:
            for case in cases:
                progress.update(task, description=str(case))
                rows.append(measure_one(case))
                progress.advance(task)
        except KeyboardInterrupt:
            pass
    return rows


def _progress() -> Progress:
    """A line on standard error, which goes when all is done; none where no terminal is."""
    console = Console(stderr=True)
    return Progress(
        BarColumn(bar_width=10), TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.description}  left"), TimeRemainingColumn(compact=True),
        console=console, transient=True, disable=not console.is_terminal,
    )  # fmt: skip


def _check_place(page: Path) -> None:
    """Refuse before the measuring what could not be written after it."""
    images: Any = page.parent / "images"
    try:
        images.mkdir(exist_ok=True)
    except OSError as error:
        raise UnrolledError(f"{images} cannot be made: {error.strerror or error}") from None
    for folder in (page.parent, images):
        if not os.access(folder, os.W_OK):
            raise UnrolledError(f"{folder} cannot be written to")
