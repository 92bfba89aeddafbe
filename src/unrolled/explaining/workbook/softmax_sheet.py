"""Softmax with cross-entropy alone, for one target: the gradient of its logits in three ways, and how
they differ.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from unrolled import notation
from unrolled.equations.entries import Scalar, entry_of
from unrolled.equations.printers import Printer
from unrolled.equations.table import Equation, Key, record_stage
from unrolled.explaining import studies
from unrolled.explaining.explanation import Explanation
from unrolled.explaining.sentences import symbol
from unrolled.explaining.softmax import THREE_WAYS
from unrolled.explaining.workbook.contents import Quantity, Sheet, with_parts
from unrolled.notation import Shape

Array = Any
NAME = "Softmax"
_LARGEST = 60  # outputs: the Jacobian has their square
LEFT_OUT = (
    f"The sheet that studies softmax is left out: its Jacobian is for at most {_LARGEST} outputs."
)
_SAID = {
    "identity": ("δ", "1 where row and column are the same"),
    "dy_hat": ("dŷ", "the gradient of the probabilities, of −Σ y log ŷ: −y / ŷ"),
    "jacobian": ("J", "the Jacobian: row k, column l is ∂ŷ_k/∂z_l = ŷ_k (δ_kl − ŷ_l)"),
    "by_jacobian": ("by Jacobian", "dz_y by the Jacobian: its transpose times dŷ"),
    "by_chain": ("by chain", "dz_y by the chain rule in one line, the same sum without forming the Jacobian"),
    "by_shortcut": ("by shortcut", "dz_y by what all of it comes down to: ŷ − y"),
}  # fmt: skip


def is_shown(explanation: Explanation) -> bool:
    """Whether there is a softmax with cross-entropy, and not of too many outputs."""
    return studies.has_softmax(explanation) and explanation.sizes["n_y"] <= _LARGEST


def sheet(explanation: Explanation) -> Sheet:
    """Return the sheet, of the last step's first target."""
    t, sequence = target(explanation)
    value = studies.three_ways(explanation, t, sequence)
    rows = tuple(
        (q,) for q in (*_given(explanation, value, t, sequence), *_computed(explanation, value))
    )
    return Sheet(
        NAME, f"Softmax with cross-entropy: step t = {t}, sequence {sequence}",
        "The gradient of its logits in three ways, without the target's share ω. Where a probability is "
        "exactly 0, −y / ŷ is not to be had: then only the shortcut gives a number.", rows,
    )  # fmt: skip


def target(explanation: Explanation) -> tuple[int, int]:
    """Return step and sequence of the first target in the last step that has one."""
    for t in reversed(range(explanation.T)):
        there = np.flatnonzero(explanation.value("omega", t)[0])
        if len(there):
            return t, int(there[0])
    return explanation.T - 1, 0


def key(name: str) -> Key:
    return f"softmax {name}", None


def _said(name: str) -> tuple[str, str]:
    """Return symbol and meaning."""
    return _SAID.get(name) or (notation.entry(name).text, notation.entry(name).meaning)


def _given(
    explanation: Explanation, value: dict[str, Array], t: int, sequence: int
) -> Iterator[Quantity]:
    for name in ("z_y", "y"):
        of = symbol(name, t)
        yield Quantity(
            key(name), *_said(name), ("n_y", 1), value[name],
            f"column {sequence} of {of}", entry=Scalar("entry", name=name, at=("i", sequence)),
            key_of=lambda entry: (entry.name, t),
        )  # fmt: skip
    yield Quantity(key("identity"), *_SAID["identity"], ("n_y", "n_y"), value["identity"],
                   proved=False)  # fmt: skip


def _computed(explanation: Explanation, value: dict[str, Array]) -> Iterator[Quantity]:
    equations, shapes = record_stage(THREE_WAYS)
    sizes = {"n_y": len(value["y"])}
    for equation in equations:
        if equation.direction == "forward":
            quantity = _quantity(equation, shapes, value, _Printer(explanation.table))
            yield from with_parts(quantity, lambda name, _: value[name.partition(" ")[2]], sizes)
    for way in ("by_jacobian", "by_chain"):
        yield _difference(way, "by_shortcut", value)


def _quantity(
    equation: Equation, shapes: dict[str, Shape], value: dict[str, Array], printer: Printer
) -> Quantity:
    name = equation.name
    return Quantity(
        key(name), *_said(name), equation.shape, value[name], printer.print(equation.expression),
        entry=entry_of(equation.expression, shapes), key_of=_own,
    )  # fmt: skip


def _own(entry: Scalar) -> Key:
    return key(entry.name) if "." not in entry.name else (entry.name, None)


def _difference(one: str, other: str, value: dict[str, Array]) -> Quantity:
    text, than = _SAID[one][0], _SAID[other][0]
    first, second = (Scalar("entry", name=name, at=("i", 0)) for name in (one, other))
    with np.errstate(invalid="ignore"):
        difference = value[one] - value[other]
    return Quantity(
        key(f"{one}_difference"), f"{text}, off", "how far it is off the shortcut: nothing but rounding",
        ("n_y", 1), difference, f"{text} − {than}", entry=Scalar("subtract", (first, second)), key_of=_own,
        scale=value[other],
    )  # fmt: skip


class _Printer(Printer):
    """Prints the equations of the study, which has no steps."""

    def name(self, name: str, at: str = "t") -> str:
        return _said(name)[0]
