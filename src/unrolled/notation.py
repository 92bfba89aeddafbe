"""The legend: for every quantity its code name, its symbol, its shape and its meaning.

Code, errors, equations and documentation all print from here. Names that follow the notation's
rules (`d` + name, `name_prev`, `W_..`, `b_.`, `z_.`) need no entry of their own, so the quantities
of a cell that was added today are printed as well as those of the oldest one.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

Shape = tuple[str | int, ...]


@dataclass(frozen=True)
class Entry:
    """One line of the legend. `shape` is empty where it depends on the cell."""

    name: str
    text: str
    latex: str
    shape: str
    meaning: str


DIMENSIONS = {
    "n_x": "features in",
    "n_a": "hidden units",
    "n_y": "features out",
    "m": "sequences in the batch",
    "T": "time steps",
}

_GATES = {
    "f": ("Γ_f", r"\Gamma_f", "forget gate: how much of the cell state is kept"),
    "i": ("Γ_i", r"\Gamma_i", "input gate: how much of the candidate is let in"),
    "o": ("Γ_o", r"\Gamma_o", "output gate: how much of the cell state is shown"),
    "u": ("Γ_u", r"\Gamma_u", "update gate: how much of the candidate replaces the state"),
    "r": ("Γ_r", r"\Gamma_r", "reset gate: how much of the state the candidate sees"),
    "c_tilde": ("c̃", r"\tilde c", "candidate for the new state"),
}

_PLAIN = [
    Entry("x", "x", "x", "n_x m", "input"),
    Entry("e", "e", "e", "n_e m", "embedding of the input"),
    Entry("y", "y", "y", "n_y m", "target: a one-hot column, or values"),
    Entry("a", "a", "a", "n_a m", "hidden state"),
    Entry("c", "c", "c", "n_a m", "cell state"),
    Entry("a0", "a0", "a_0", "n_a m", "hidden state before the first step"),
    Entry("c0", "c0", "c_0", "n_a m", "cell state before the first step"),
    Entry("y_hat", "ŷ", r"\hat y", "n_y m", "prediction"),
    Entry("loss", "loss", r"\mathcal{L}", "1 1", "what is minimised"),
    Entry("losses", "losses", r"\ell", "1 m", "loss of each target"),
    Entry("omega", "ω", r"\omega", "1 m",
          "share of a target in the loss (1 / their number for the mean), 0 without one"),
    Entry("log_y_hat", "log ŷ", r"\log\hat y", "n_y m", "logarithm of the prediction, from the logits"),
    Entry("tanh_c", "tanh_c", r"\tanh_c", "n_a m", "tanh of the cell state"),
    Entry("b_ca", "b_ca", "b_{ca}", "n_a 1", "bias of the candidate's recurrent part, inside the reset"),
    Entry("z_ca", "z_ca", "z_{ca}", "n_a m", "recurrent part of the candidate, before the reset"),
    Entry("a_reset", "a_reset", r"a_{\mathrm{reset}}", "n_a m", "previous state after the reset gate"),
]  # fmt: skip

_LAYERS = {"a": "hidden state", "y": "output", "c": "candidate", "e": "embedding"} | {
    gate: meaning.partition(":")[0] for gate, (_, _, meaning) in _GATES.items() if gate != "c_tilde"
}


LEGEND: dict[str, Entry] = {entry.name: entry for entry in _PLAIN} | {
    gate: Entry(gate, text, latex, "n_a m", meaning)
    for gate, (text, latex, meaning) in _GATES.items()
}

_CONTRIBUTIONS = {
    "prev": "∂loss/∂{}⟨t−1⟩ through this step: d{}_next of the step before",
    "next": "part of d{}: what comes back from the next step",
    "y": "part of d{}: what comes from this step's own output",
}


def entry(name: str) -> Entry:
    """Return the legend's line for code name `name`, derived by the notation's rules if need be."""
    if name in LEGEND:
        return LEGEND[name]
    base, _, suffix = name.rpartition("_")
    if suffix == "prev" and base in LEGEND:
        of = LEGEND[base]
        return Entry(name, of.text, of.latex, of.shape, f"{of.meaning} of the previous step")
    if base[:1] == "d" and base[1:] in LEGEND and suffix in _CONTRIBUTIONS:
        of, latex = entry(base), rf"{entry(base).latex}_{{\mathrm{{{suffix}}}}}"
        meaning = _CONTRIBUTIONS[suffix].format(*[LEGEND[base[1:]].text] * 2)
        return Entry(name, f"{of.text}_{suffix}", latex, of.shape, meaning)
    if name[:1] == "d" and (of := entry(name[1:])).meaning:
        return Entry(name, f"d{of.text}", f"d{of.latex}", of.shape, f"∂loss/∂{of.text}")
    if match := re.fullmatch(r"(?:W_(\w)([ax])|b_(\w)|z_(\w))", name):
        return _of_layer(name, *match.groups())
    head, _, tail = name.partition("_")
    escaped = tail.replace("_", r"\_")
    return Entry(name, name, rf"{head}_{{\mathrm{{{escaped}}}}}" if tail else name, "", "")


def _of_layer(name: str, to: str, source: str, bias: str, pre_activation: str) -> Entry:
    """Weights, bias and pre-activation of any layer, named by where they lead and come from."""
    letter = to or bias or pre_activation
    what, n = _LAYERS.get(letter, letter), f"n_{letter}" if letter in "ye" else "n_a"
    if to:
        of = {"a": "hidden state", "x": "input"}[source]
        alias = f"; W_{to} = [W_{to}a W_{to}x]" if source == "a" and to not in "ye" else ""
        meaning = f"weights from the {of} to the {what}{alias}"
        return Entry(name, name, f"W_{{{to}{source}}}", f"{n} n_{source}", meaning)
    if bias:
        return Entry(name, name, f"b_{bias}", f"{n} 1", f"bias of the {what}")
    meaning = "logits" if letter == "y" else f"pre-activation of the {what}"
    return Entry(name, name, f"z_{letter}", f"{n} m", meaning)


_ASCII = str.maketrans(
    {"⟨": "<", "⟩": ">", "−": "-", "ŷ": "y_hat", "Γ": "", "∘": "*", "∂": "d", "Σ": "sum", "ω": "omega",
     "²": "^2", "½": "1/2", "ᵀ": ".T", "…": "...", "·": ".", "×": "x", "∞": "inf", "≤": "<=", "—": "-", "→": "->",
     "σ": "sigmoid", "✓": "ok", "é": "e", "ü": "u", "└": "`", "─": "-", "█": "#", "░": "."}
)  # fmt: skip


def ascii_text(text: str) -> str:
    """Return `text` in ASCII, for terminals that cannot print ⟨t⟩, ŷ or Γ."""
    text = text.replace("c̃", "c_tilde").replace("Γ_", "")
    return text.translate(_ASCII).encode("ascii", "replace").decode()


def width(text: str) -> int:
    """Return how many columns of a terminal `text` takes: combining marks (c̃) take none."""
    return sum(not unicodedata.combining(character) for character in text)


def pad(text: str, columns: int) -> str:
    """Return `text` filled up with spaces to `columns` columns of a terminal."""
    return text + " " * (columns - width(text))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows as lines of aligned columns, two spaces apart."""
    wide = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(pad, row, wide)).rstrip() for row in rows]


def shape_text(shape: Shape, sizes: Mapping[str, int] | None = None) -> str:
    """Return `(n_a, m)`, or `(5, 7)` where `sizes` says how large each dimension is."""
    names = [str((sizes or {}).get(str(axis), axis)) for axis in shape]
    return f"({', '.join(names)})"


def parse_shape(text: str) -> Shape:
    """Return `("n_a", 1)` for `"n_a 1"`, as cells write it."""
    return tuple(int(axis) if axis.isdigit() else axis for axis in text.split())
