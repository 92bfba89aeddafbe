"""What a check found: findings with their causes, and the report that holds them."""

import dataclasses
import math
from typing import Any

import numpy as np

Array = Any
SCHEMA = 1


@dataclasses.dataclass(frozen=True)
class Cause:
    """Why a number is wrong.

    `id` is a short name ("other_step", "transposed"), `certainty` "exact" where the edited equation
    gives their numbers to rounding, "pattern" where it only looks like it, "none" where nothing
    was found. `equation` is the edited equation, in the legend's words, or empty.
    """

    id: str = "unknown"
    certainty: str = "none"
    message: str = ""
    equation: str = ""


@dataclasses.dataclass(frozen=True)
class Worst:
    """The entry that is off most: its index in their array, their number and the right one."""

    index: tuple[int, ...]
    yours: float
    expected: float

    @classmethod
    def between(cls, yours: Array, expected: Array) -> "Worst | None":
        """Return the entry of two arrays that is off most; None where the shapes differ."""
        yours, expected = np.asarray(yours, float), np.asarray(expected, float)
        if yours.shape != expected.shape or not yours.size:
            return None
        with np.errstate(all="ignore"):
            off = np.nan_to_num(np.abs(yours - expected), nan=np.inf)
        index = tuple(int(k) for k in np.unravel_index(int(np.argmax(off)), off.shape))
        return cls(index, float(yours[index]), float(expected[index]))


@dataclasses.dataclass(frozen=True)
class Finding:
    """One thing that is wrong (severity "mistake") or unwise ("advice").

    `quantity` is the legend's name and `name` theirs; `t` counts from 0, None where it is no step's;
    `line` and `column` count from 1; `source` is that line. `shape` is theirs, `expected_shape` the
    right one, in the legend's words; `equation` is the right equation.
    """

    quantity: str
    name: str
    t: int | None = None
    file: str = ""
    line: int | None = None
    column: int | None = None
    source: str = ""
    severity: str = "mistake"
    shape: tuple[int, ...] | None = None
    expected_shape: str = ""
    equation: str = ""
    worst: Worst | None = None
    cause: Cause = Cause()
    message: str = ""


@dataclasses.dataclass(frozen=True, repr=False)
class Report:
    """What `unrolled check` found: `verdict` is "right", "wrong" or "could-not-run".

    `conventions` says which of the usual choices the code makes, `proved` what was proved and on what,
    `untestable` what could not be tested and why; `printed` is what their code printed.
    """

    verdict: str
    cell: str = ""
    findings: tuple[Finding, ...] = ()
    conventions: tuple[str, ...] = ()
    untestable: tuple[str, ...] = ()
    proved: tuple[str, ...] = ()
    printed: str = ""
    file: str = ""
    seconds: float = 0.0

    def __repr__(self) -> str:
        from unrolled.checking.printing.text import to_text  # which needs this file

        return to_text(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as JSON holds it: NaN and infinity are strings."""
        return {"schema": SCHEMA, **_plain(dataclasses.asdict(self))}

    @classmethod
    def from_dict(cls, found: dict[str, Any]) -> "Report":
        """Return the report that `to_dict` gave."""
        kept = {name: value for name, value in found.items() if name != "schema"}
        findings = tuple(_finding(finding) for finding in kept.pop("findings", ()))
        lists: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in kept.items()}
        return cls(findings=findings, **lists)


def _finding(found: dict[str, Any]) -> Finding:
    worst = found["worst"]
    if worst is not None:
        worst = Worst(tuple(worst["index"]), float(worst["yours"]), float(worst["expected"]))
    shape = None if found["shape"] is None else tuple(found["shape"])
    return Finding(**{**found, "cause": Cause(**found["cause"]), "worst": worst, "shape": shape})


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
