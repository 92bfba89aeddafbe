"""One self-contained page: readable as it is, on paper too, and with its script to be walked through.

Everything on it is written here; the script (built from `web/` into `bundle/`) shows one step at a time,
lights up what a number was computed from, and computes anew what an edit changes.
"""

import base64
import hashlib
from collections.abc import Iterator
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from unrolled import notation
from unrolled.equations.evaluation import Moment
from unrolled.equations.printers import MATHML, TEXT, mathml_symbol
from unrolled.equations.table import Key
from unrolled.explaining import writing
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.page import sections
from unrolled.explaining.page.data import key_text, to_json
from unrolled.explaining.page.graph import Graph
from unrolled.explaining.page.matrices import Matrices
from unrolled.explaining.page.selection import Selection
from unrolled.explaining.sentences import saturations, sentence, symbol
from unrolled.explaining.sources import source_line

Array = Any
_FOLDER = Path(__file__).parent


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
        apart, ways = sections.apart(explanation, selection), sections.ways(explanation, selection)
        begun = {
            "apart": {name: apart[name] for name in ("name", "i", "j")},
            "ways": ways and {name: ways[name] for name in ("t", "sequence")},
        }  # fmt: skip
        return {
            "title": explanation.title or f"{explanation.table.step.cell.name}, step by step",
            "facts": self._facts(), "notes": [*explanation.notes, *selection.notes],
            "lost": saturations(explanation), "story": explanation.told,
            "graph": Markup(Graph(explanation, selection).to_svg()),
            "moments": [self._moment(moment) for moment in selection.moments],
            "given": list(self._given()), "apart": apart, "ways": ways,
            "influence": sections.influence(explanation, self.matrices),
            "switched": sections.switched(explanation), "legend": list(sections.legend(explanation)),
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
            "label": moment.label, "symbol": symbol(*key),
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


def _symbol(key: Key) -> str:
    name, t = key
    text = mathml_symbol(notation.entry(name).text)
    return text if t is None else MATHML["step"] % (text, t)


def _joined(sides: tuple[str, str]) -> Markup:
    return Markup("<mo>=</mo>".join(sides))


__all__ = ["to_bytes", "to_frame", "to_html"]
