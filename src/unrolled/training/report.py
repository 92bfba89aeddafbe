"""The loss curve as a picture, and a run on one page that asks nothing of any network."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.files import write_bytes, write_text
from unrolled.training.loop import Place
from unrolled.training.tasks import Measures

Row = Mapping[str, str]
_INK = "#010203"  # stands for the colour of the page's own text
_POINTS = 1500  # of a curve; more than a picture shows


@dataclass(frozen=True)
class Result:
    """What a training came to: the rows of metrics.csv, measures, references, what was beaten."""

    rows: Sequence[Row]
    measures: Measures
    references: Mapping[str, Measures]
    verdict: Sequence[str]
    ended_by: str
    place: Place
    samples: Mapping[str, Sequence[str]]


def write_curve(path: Path, rows: Sequence[Row], references: Mapping[str, Measures]) -> None:
    """Write a picture of the loss: each update, its running mean, held-back data, references."""
    picture = io.BytesIO()
    _figure(rows, references, "#333333").savefig(picture, format="png")
    write_bytes(path, picture.getvalue())


def write_report(folder: Path, settings: Mapping[str, Any], result: Result) -> None:
    """Write report.html."""
    facts = settings["data"].get("facts", ["arrays"])
    last = result.rows[-1] if result.rows else None
    names = list(
        dict.fromkeys(n for m in [result.measures, *result.references.values()] for n in m)
    )
    page = _template().render(
        folder=folder, settings=settings, result=result, facts=facts, last=last, names=names,
        curve=_svg(result.rows, result.references), seconds=float(last["seconds"]) if last else 0,
        loss=running_mean([float(r["loss"]) for r in result.rows])[-1] if last else None,
    )  # fmt: skip
    write_text(folder / "report.html", page)


@cache
def _template() -> Any:
    import jinja2  # slow to import, and needed once

    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(files(__package__).joinpath("report.html").read_text("utf-8"))


def _svg(rows: Sequence[Row], references: Mapping[str, Measures]) -> str:
    """Return the curve as SVG in the colour of the text around it."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "unrolled"}):
        text = io.StringIO()
        figure = _figure(rows, references, _INK)
        figure.savefig(
            text, format="svg", transparent=True, metadata={"Date": None, "Creator": None}
        )
    svg = text.getvalue()
    return svg[svg.index("<svg") :].replace(_INK, "currentColor")


def _figure(rows: Sequence[Row], references: Mapping[str, Measures], ink: str) -> Any:
    import matplotlib  # slow to import, and needed once
    from matplotlib.figure import Figure

    inked = ("axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color", "text.color")
    colours: Any = dict.fromkeys(inked, ink)
    with matplotlib.rc_context(colours):
        figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
        axes = figure.add_subplot()
        steps, losses = _column(rows, "loss")
        every = max(1, len(steps) // _POINTS)
        mean = running_mean(losses)
        axes.plot(
            steps[::every], losses[::every], color="#6f9bc8", linewidth=0.6, label="each update"
        )
        axes.plot(
            steps[::every], mean[::every], color="#2f78c4", linewidth=1.8, label="running mean"
        )
        axes.plot(*_column(rows, "validation_loss"), color="#d9622b", marker="o", markersize=3,
                  label="held back")  # fmt: skip
        for style, (name, measures) in zip((":", "--", "-."), references.items(), strict=False):
            axes.axhline(measures["loss"], color="#888888", linestyle=style, label=name)
        axes.set(xlabel="update", ylabel="loss")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _column(rows: Sequence[Row], name: str) -> tuple[list[int], list[float]]:
    """Return steps and values where a row has one."""
    there = [row for row in rows if row[name]]
    return [int(row["step"]) for row in there], [float(row[name]) for row in there]


def running_mean(values: Sequence[float], weight: float = 0.02) -> list[float]:
    """Return the exponential running mean, corrected for its start as Adam's means are."""
    means, mean = [], 0.0
    for k, value in enumerate(values, start=1):
        mean += weight * (value - mean)
        means.append(mean / -np.expm1(k * np.log1p(-weight)))
    return means
