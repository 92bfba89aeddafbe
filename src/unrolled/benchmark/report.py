"""What was measured, as text, as JSON, and as a page of the documentation with a picture."""

import io
import itertools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from unrolled.benchmark.measuring import Entry, Row
from unrolled.files import write_bytes, write_text
from unrolled.notation import columns

_SIZES = "n_x, n_a, n_y, m, T"
_ELSE = "computes something else"
_COLOURS = ("#1f5a94", "#b4472e", "#7a9a2e", "#8a5a9e", "#888888")


@dataclass(frozen=True)
class Report:
    """The rows, and all that a reader needs to judge them.

    `machine` is that of machine.describe; `peaks` are GFLOP/s of products by dtype and library;
    `missing` are peers that are not there, title -> what to do about it; `planned` counts the cases
    that were asked for.
    """

    rows: Sequence[Row]
    machine: Mapping[str, Any]
    peaks: Mapping[str, Mapping[str, float]]
    missing: Mapping[str, str]
    remark: str | None
    pause: float
    planned: int

    @property
    def names(self) -> list[str]:
        """Everyone's name, the one that ratios refer to first."""
        return list(dict.fromkeys(entry.name for row in self.rows for entry in row.entries))

    @property
    def refused(self) -> list[tuple[Row, Entry]]:
        """Those who compute something else, and were not timed."""
        return [(row, e) for row in self.rows for e in row.entries if e.timing is None]

    def share(self, row: Row, name: str) -> float | None:
        """Return the share of the peak, the highest rate that any library's product reached."""
        rate = row.rate(name)
        return rate / max(self.peaks[row.case.dtype].values()) if rate else None

    def geometric_means(self) -> list[dict[str, Any]]:
        """Return the mean ratio of each contender by cell and dtype, and, with both None, of all."""
        means = []
        for name in self.names[1:]:
            for (cell, dtype), rows in [*_by_table(self.rows), ((None, None), self.rows)]:
                if mean := _geometric_mean(row.ratio(name) for row in rows):
                    means.append({"contender": name, "cell": cell, "dtype": dtype, "ratio": mean})
        return means

    def ahead(self, rows: Sequence[Row]) -> float | None:
        """Return the geometric mean of the fastest peer's time divided by that of the first."""
        return _geometric_mean(row.ahead() for row in rows)

    def mean(self, name: str, cell: str | None = None, dtype: str | None = None) -> float | None:
        """Return one of the geometric means."""
        asked = (name, cell, dtype)
        found = (
            m for m in self.geometric_means() if (m["contender"], m["cell"], m["dtype"]) == asked
        )
        return next((m["ratio"] for m in found), None)  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return everything, for JSON; what cannot be said is None."""
        return {
            "schema": 1, "machine": dict(self.machine), "peaks_gflops": dict(self.peaks),
            "missing": dict(self.missing), "remark": self.remark, "pause_seconds": self.pause,
            "planned": self.planned, "cases": [self._row(row) for row in self.rows],
            "geometric_means": self.geometric_means(),
            "ahead": [{"cell": cell, "dtype": dtype, "ratio": self.ahead(rows)}
                      for (cell, dtype), rows in _by_table(self.rows)],
        }  # fmt: skip

    def _row(self, row: Row) -> dict[str, Any]:
        return {**asdict(row.case), "flops": row.flops, "ahead": row.ahead(),
                "results": [self._entry(row, entry) for entry in row.entries]}  # fmt: skip

    def _entry(self, row: Row, entry: Entry) -> dict[str, Any]:
        difference = entry.difference.value
        timing = asdict(entry.timing) if entry.timing else None
        return {
            "contender": entry.name, "agrees": entry.timing is not None, "timing": timing,
            "difference": difference if math.isfinite(difference) else None,
            "difference_in": entry.difference.tensor, "ratio": row.ratio(entry.name),
            "share_of_peak": self.share(row, entry.name),
        }  # fmt: skip

    def to_text(self) -> str:
        """Return the report for a terminal."""
        lines = [*self._where(), *self._how(), *self._warnings()]
        for title, head, body in self._tables():
            lines += ["", title, *columns([head, *body])]
        summary = self._summary()
        return "\n".join([*lines, *([""] if summary else []), *summary])

    def to_markdown(self, pictures: Sequence[str]) -> str:
        """Return the report as a page that shows the pictures at some paths: of ratios, and of shares."""
        lines = [
            "# Performance", "",
            "Loss and all parameter gradients, side by side in one run. Written by `make bench`.", "",
            *(f"- {line}" for line in [*self._where(), *self._how(), *self._warnings()]), "",
            *self._summary(), "", f"![The fastest peer's time divided by ours]({pictures[0]})", "",
            f"![Share of the peak in each case]({pictures[1]})",
        ]  # fmt: skip
        for title, head, body in self._tables():
            rule = ["---"] + ["---:"] * (len(head) - 1)
            lines += ["", f"## {title}", ""]
            lines += [f"| {' | '.join(cells)} |" for cells in (head, rule, *body)]
        return "\n".join(lines) + "\n"

    def write(self, path: Path) -> list[Path]:
        """Write the page, and its pictures into images/ beside it; return the pictures' paths.

        Raises UnrolledError where a file cannot be written.
        """
        kinds = {"ratio": self.picture_of_ratios, "share": self.picture_of_shares}
        pictures = [path.parent / "images" / f"{path.stem}-{kind}.png" for kind in kinds]
        for picture, draw in zip(pictures, kinds.values(), strict=True):
            write_bytes(picture, draw())
        write_text(path, self.to_markdown([f"images/{picture.name}" for picture in pictures]))
        return pictures

    def picture_of_shares(self) -> bytes:
        """Return a PNG: everyone's share of the peak in each case, a panel for each cell and dtype."""

        def draw(axes: Any, rows: list[Row], labels: list[str]) -> None:
            for name, colour in zip(self.names, itertools.cycle(_COLOURS), strict=False):
                shares = [100 * (self.share(row, name) or math.nan) for row in rows]
                axes.plot(labels, shares, "o", color=colour, label=name)
            axes.set(yscale="log", ylabel="% of peak")

        return self._picture(draw)

    def picture_of_ratios(self) -> bytes:
        """Return a PNG: how many times as long the fastest peer takes in each case, and where both are
        equally fast.
        """

        def draw(axes: Any, rows: list[Row], labels: list[str]) -> None:
            axes.axhline(1, color="#b4472e", linewidth=1, label="as fast")
            axes.bar(labels, [row.ahead() or math.nan for row in rows], 0.5, color=_COLOURS[0],
                     label=f"fastest peer's time / {self.names[0]}'s")  # fmt: skip
            axes.set(ylabel="times")

        return self._picture(draw)

    def _picture(self, draw: Callable[[Any, list[Row], list[str]], None]) -> bytes:
        """Return a PNG with a panel for each cell and dtype, cases from left to right."""
        from matplotlib.figure import Figure  # slow to import, and needed once

        tables = _by_table(self.rows)
        figure = Figure(figsize=(9, 2.2 + 1.9 * len(tables)), dpi=120, layout="constrained")
        panels = figure.subplots(len(tables), 1, squeeze=False)[:, 0]
        for axes, ((cell, dtype), rows) in zip(panels, tables, strict=True):
            draw(
                axes, rows, ["{}, {}, {}\n{}, {}".format(*row.case.sizes.values()) for row in rows]
            )
            axes.set(title=f"{cell}, {dtype}")
            axes.grid(color="#dddddd", linewidth=0.6)
            axes.set_axisbelow(True)
            axes.yaxis.set_major_formatter("{x:g}")
            axes.tick_params(axis="x", labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False)
        panels[-1].set_xlabel(_SIZES)
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
        return picture.getvalue()

    def _where(self) -> list[str]:
        here, blas = self.machine, self.machine["blas"]
        versions = ", ".join(f"{name} {version}" for name, version in here["versions"].items())
        said = " ".join(filter(None, (blas["name"], blas["version"], blas["architecture"])))
        return [
            f"{here['processor']}, {here['cores']} cores, {here['system']}, {here['date']}; "
            f"threads: {here['threads']}",
            versions,
            f"NumPy multiplies with {said}",
        ]

    def _how(self) -> list[str]:
        calls = [e.timing.calls for row in self.rows for e in row.entries if e.timing]
        pause = f"{1000 * self.pause:g} ms pause between" if self.pause else "no pause between"
        lines = [f"Peak of {dtype}: {_peak(rates)}" for dtype, rates in self.peaks.items()]
        if calls:
            lines.append(
                f"Medians of {min(calls)} to {max(calls):,} calls, in turns, {pause}; largest difference "
                f"from the reference in float64: {self._largest_difference()}"
            )
        return lines

    def _largest_difference(self) -> str:
        by_dtype: dict[str, float] = {}
        for row in self.rows:
            agreed = [e.difference.value for e in row.entries if e.timing]
            by_dtype[row.case.dtype] = max([by_dtype.get(row.case.dtype, 0.0), *agreed])
        return ", ".join(f"{value:.1e} in {dtype}" for dtype, value in by_dtype.items())

    def _warnings(self) -> list[str]:
        lines = [f"Not compared: {title}, {why}" for title, why in self.missing.items()]
        if self.remark:
            lines.append(self.remark)
        for row, entry in self.refused:
            lines.append(
                f"{entry.name} {_ELSE} in {row.case}, and is not timed: its {entry.difference.tensor} "
                f"differs by {entry.difference.value:.1e} of the largest entry"
            )
        return lines

    def _tables(self) -> list[tuple[str, list[str], list[list[str]]]]:
        """Return title, head and body of the table of each cell and dtype."""
        first, *others = self.names or [""]
        head = [_SIZES, f"{first} ms", "of peak"]
        for name in others:
            head += [f"{name} ms", "of peak", "ratio"]
        head += ["ahead"] if others else []
        tables = []
        for (cell, dtype), rows in _by_table(self.rows):
            body = [self._cells(row) for row in rows]
            if others:
                means = (_figure(self.mean(name, cell, dtype), ".2f") for name in others)
                ends = itertools.chain(*(["", "", mean] for mean in means))
                body.append(["geometric mean", "", "", *ends, _figure(self.ahead(rows), ".2f")])
            tables.append((f"{cell}, {dtype}", head, body))
        return tables

    def _cells(self, row: Row) -> list[str]:
        cells = [_sizes(row)]
        for k, name in enumerate(self.names):
            entry = row.entry(name)
            timing = entry.timing if entry else None
            cells.append(_figure(timing.milliseconds, ".3f") if timing else _ELSE if entry else "—")
            cells.append(_figure(self.share(row, name), ".1%"))
            cells += [_figure(row.ratio(name), ".2f")] if k else []
        return cells + ([_figure(row.ahead(), ".2f")] if len(self.names) > 1 else [])

    def _summary(self) -> list[str]:
        lines = []
        if len(self.rows) < self.planned:
            lines.append(f"Stopped after {len(self.rows)} of {self.planned} cases.")
        means = [(name, self.mean(name)) for name in self.names[1:]]
        said = ", ".join(f"{name} {mean:.2f}" for name, mean in means if mean)
        if said:
            lines.append(
                f"Time divided by that of {self.names[0]}, geometric mean of all cases "
                f"(above 1, {self.names[0]} is the faster): {said}."
            )
        tables = [(table, self.ahead(rows)) for table, rows in _by_table(self.rows)]
        said = ", ".join(f"{cell} {dtype} {mean:.2f}" for (cell, dtype), mean in tables if mean)
        if said:
            lines.append(
                f"Ahead is the same of the fastest other library in each case; geometric means: {said}."
            )
        return lines


def _geometric_mean(ratios: Iterable[float | None]) -> float | None:
    found = [ratio for ratio in ratios if ratio]
    return math.exp(sum(map(math.log, found)) / len(found)) if found else None


def _by_table(rows: Sequence[Row]) -> list[tuple[tuple[str, str], list[Row]]]:
    tables: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        tables.setdefault((row.case.cell, row.case.dtype), []).append(row)
    return list(tables.items())


def _sizes(row: Row) -> str:
    return ", ".join(map(str, row.case.sizes.values()))


def _figure(value: float | None, form: str) -> str:
    return "—" if value is None else format(value, form)


def _peak(rates: Mapping[str, float]) -> str:
    """The peak that shares refer to, and what the other libraries' products reach."""
    (best, rate), *others = rates.items()
    said = f"{rate:.0f} GFLOP/s, measured, {best}'s product of square matrices"
    return said + "".join(f" ({title}'s: {other:.0f})" for title, other in others)
