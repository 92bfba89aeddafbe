"""One self-contained page: readable as it is, on paper too, and with its script to be walked through.

Everything on it is written here; the script (built from `web/` into `bundle/`) shows one step at a time,
lights up what a number was computed from, and computes anew what an edit changes.
"""

import base64
import hashlib
import math
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from unrolled import notation
from unrolled.equations.evaluation import Moment
from unrolled.equations.printers import MATHML, TEXT, mathml_symbol
from unrolled.equations.table import Key
from unrolled.explaining import studies, writing
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.page.data import key_text, to_json
from unrolled.explaining.page.graph import Graph
from unrolled.explaining.page.matrices import Matrices, matrix
from unrolled.explaining.page.selection import Selection
from unrolled.explaining.sentences import saturations, sentence, symbol
from unrolled.explaining.sources import source_line

Array = Any
_FOLDER = Path(__file__).parent
_INFLUENCES = 6  # steps of the table ∂loss⟨s⟩/∂a⟨t⟩, at most


def to_bytes(explanation: Explanation) -> bytes:
    """Return the page as a file."""
    return to_html(explanation).encode("utf-8", "backslashreplace")


def to_html(explanation: Explanation) -> str:
    """Return the page."""
    return str(_template().render(_Page(explanation).told()))


def to_frame(explanation: Explanation) -> str:
    """Return the page in a frame, for a notebook."""
    page = escape(to_html(explanation))
    return (
        f'<iframe srcdoc="{page}" sandbox="allow-scripts" title="{escape(repr(explanation))}" '
        'style="width: 100%; height: 85vh; border: 1px solid #8888"></iframe>'
    )


@cache
def _template() -> Any:
    loader = FileSystemLoader(_FOLDER)
    environment = Environment(
        loader=loader, autoescape=select_autoescape(default=True), undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    return environment.get_template("page.html.jinja")


def _bundled(name: str) -> str:
    return (_FOLDER / "bundle" / name).read_text(encoding="utf-8").strip()


def _hash(text: str) -> str:
    """What a content-security-policy names a script or a style by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


class _Page:
    """What the template is told."""

    def __init__(self, explanation: Explanation):
        self.explanation, self.selection = explanation, Selection(explanation)
        self.matrices = Matrices(explanation, self.selection)

    def told(self) -> dict[str, Any]:
        explanation, selection = self.explanation, self.selection
        script, style = _bundled("page.js"), _bundled("page.css")
        apart, ways = self._apart(), self._ways()
        begun = {
            "apart": {name: apart[name] for name in ("name", "i", "j")},
            "ways": ways and {name: ways[name] for name in ("t", "sequence")},
        }  # fmt: skip
        return {
            "title": explanation.title or f"{explanation.table.step.cell.name}, step by step",
            "facts": self._facts(), "notes": [*explanation.notes, *selection.notes],
            "lost": saturations(explanation), "story": explanation.told, "graph": Markup(Graph(explanation, selection).to_svg()),
            "moments": [self._moment(moment) for moment in selection.moments],
            "given": list(self._given()), "apart": apart, "influence": self._influence(),
            "ways": ways, "switched": self._switched(), "legend": list(self._legend()),
            "data": Markup(to_json(explanation, selection, begun)),
            "script": Markup(script), "style": Markup(style),
            "script_hash": _hash(script), "style_hash": _hash(style),
        }  # fmt: skip

    def _facts(self) -> list[tuple[str, str]]:
        step, explanation = self.explanation.table.step, self.explanation
        sizes = (
            f"{name} = {size} {notation.DIMENSIONS[name]}"
            for name, size in explanation.sizes.items()
        )
        found = [
            ("cell", f"{step.cell.name}: {step.cell.title}"), ("source", step.cell.source),
            ("loss", f"{step.loss.part.title} ({explanation.reduction})"), ("sizes", ", ".join(sizes)),
        ]  # fmt: skip
        if explanation.theirs:
            found.insert(0, ("your program", explanation.theirs.file))
        return found

    def _moment(self, moment: Moment) -> dict[str, Any]:
        explanation, theirs = self.explanation, self.explanation.theirs
        key, direction = moment.key, moment.equation.direction
        told: dict[str, Any] = {
            "label": moment.label, "key": key_text(key), "symbol": symbol(*key),
            "way": "forward" if direction == "forward" or key[0] == "loss" else "backward",
            "sentence": sentence(explanation, moment),
            "symbols": _joined(writing.equation(moment, explanation, MATHML, zero="<mn>0</mn>")),
            "shapes": " = ".join(writing.equation(moment, explanation, TEXT, self._shape)),
            "numbers": Markup(self.matrices.equation(moment)),
            "source": source_line(explanation, moment), "status": "", "said": "", "yours": "", "line": None,
        }  # fmt: skip
        if theirs is not None:
            told["status"] = theirs.status(key)
            told["said"] = theirs.said.get(key[0], "") if told["status"] == "wrong" else ""
            told["yours"] = Markup(self.matrices.theirs(key))
            told["right"] = Markup(self.matrices.of(*key))
            told["line"] = theirs.lines.get(key[0])
        return told

    def _shape(self, name: str, t: int | None) -> str:
        return f"({writing.shape(self.explanation.value(name, t))})"

    def _given(self) -> Iterator[dict[str, Any]]:
        table, steps = self.explanation.table, self.selection.steps
        keys: list[Key] = [(name, t) for name in ("x", "y") for t in steps]
        keys += [(f"{state}0", None) for state in table.step.states]
        keys += [(name, None) for name in table.step.parameters]
        for key in keys:
            meaning = table.meaning(key[0])
            yield {
                "key": key_text(key), "symbol": Markup(_symbol(key)), "meaning": meaning,
                "numbers": Markup(self.matrices.of(*key)), "text": symbol(*key),
                "shape": writing.shape(self.explanation.value(*key)),
            }  # fmt: skip

    def _apart(self) -> dict[str, Any]:
        """The entry with the largest gradient of the first parameter, taken apart into its products."""
        name = next(iter(self.explanation.table.step.cell.parameters))
        apart = studies.products(self.explanation, name)
        total = self.explanation.value(f"d{name}", None)
        i, j = np.unravel_index(int(np.argmax(np.abs(total))), total.shape)
        steps, by_sequence = (
            self.selection.steps,
            studies.adds_up_over_batch(self.explanation, name),
        )
        columns = self.selection.axes["m"] if by_sequence else []
        rows = [
            {"t": t, "products": [writing.number(apart[i, j, k, t]) for k in columns],
             "share": writing.number(self.explanation.value(f"d{name}", t)[i, j])}
            for t in steps
        ]  # fmt: skip
        return {
            "name": f"d{name}", "text": notation.entry(f"d{name}").text, "i": int(i), "j": int(j), "columns": columns,
            "rows": rows, "total": writing.number(total[i, j]), "m": self.explanation.m,
            "T": self.explanation.T, "more": 0 < len(columns) < self.explanation.m,
            "of_all": len(steps) == self.explanation.T,
        }  # fmt: skip

    def _influence(self) -> dict[str, Any]:
        """The table ∂loss⟨s⟩/∂a⟨t⟩ of every state whose gradient the cell names, with its sums."""
        steps, table = self.selection.steps[-_INFLUENCES:], self.explanation.table
        named = [state for state in table.step.states if f"d{state}" in table.shapes]
        return {"steps": steps, "tables": [self._influence_of(s, steps) for s in named]}

    def _influence_of(self, state: str, steps: list[int]) -> dict[str, Any]:
        found, T = studies.influence(self.explanation, state, steps), self.explanation.T
        rows, columns = (self.selection.indices(axis) for axis in ("n_a", "m"))
        lines = []
        for s in steps:
            cells = [
                Markup(matrix(found[s, t], f"only {s}/{t}:d{state}", rows, columns)) if t <= s else ""
                for t in steps
            ]  # fmt: skip
            lines.append({"s": s, "cells": cells})
        sums = [Markup(self.matrices.of(f"d{state}", t)) for t in steps]
        return {
            "state": notation.entry(state).text,
            "lines": lines,
            "sums": sums,
            "of_all": len(steps) == T,
        }

    def _ways(self) -> dict[str, Any] | None:
        """Softmax with cross-entropy three ways, for the target with the largest loss."""
        if not studies.has_softmax(self.explanation):
            return None
        losses = np.stack([self.explanation.value("losses", t)[0] for t in self.selection.steps])
        shown = losses[:, self.selection.axes["m"]]
        row, column = np.unravel_index(int(np.nanargmax(shown)), shown.shape)
        t, k = self.selection.steps[row], self.selection.axes["m"][column]
        ways = studies.three_ways(self.explanation, t, k)
        classes = self.selection.axes["n_y"]
        one = {n: Markup(matrix(v, f"ways:{n}", classes, classes if v.shape[1] > 1 else [0]))
               for n, v in ways.items()}  # fmt: skip
        return {
            "t": t,
            "sequence": k,
            "omega": writing.number(float(self.explanation.value("omega", t)[0, k])),
            **one,
        }

    def _switched(self) -> dict[str, Any]:
        names = studies.contributions(self.explanation)
        found = [studies.switched_off(self.explanation, name) for name in names]
        rows = [
            {"gradient": gradient, "symbol": notation.entry(gradient).text,
             "cells": [_off(one.relative[gradient]) for one in found]}
            for gradient in studies.gradients(self.explanation)
        ]  # fmt: skip
        return {"names": [(name, notation.entry(name).text) for name in names], "rows": rows}

    def _legend(self) -> Iterator[tuple[Markup, str, str, str]]:
        table = self.explanation.table
        for name, axes in table.shapes.items():
            text = Markup(f"<math>{mathml_symbol(notation.entry(name).text)}</math>")
            yield text, name, notation.shape_text(axes), table.meaning(name)


def _symbol(key: Key) -> str:
    name, t = key
    text = mathml_symbol(notation.entry(name).text)
    return text if t is None else MATHML["step"] % (text, t)


def _joined(sides: tuple[str, str]) -> Markup:
    return Markup("<mo>=</mo>".join(sides))


def _off(relative: float | None) -> str:
    """How far a gradient is off, in words."""
    if relative is None:
        return "0 both ways"
    if math.isnan(relative):
        return "not a number"
    if math.isinf(relative):
        return "not 0, as it should be"
    if not relative:
        return "unchanged"
    return (
        "lost"
        if relative == 1.0
        else f"off by {100 * relative:.0f} %"
        if relative >= 0.01
        else "off by < 1 %"
    )


__all__ = ["to_bytes", "to_frame", "to_html"]
