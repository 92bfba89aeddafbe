"""One run of a person's code as plain data: what is needed to show it beside the right calculation."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from unrolled.checking.problems import Conventions, Counting, Problem
from unrolled.equations.table import Key

Array = Any


@dataclasses.dataclass(frozen=True)
class Walk:
    """A run of their code on a problem that has a loss.

    `seen` are the numbers that it computed, right and wrong, in the legend's layout; `lacking` is what it
    should have computed and did not, or in another shape. `wrong` are the mistakes, `lines` the line and
    its text for each quantity, `said` what was found, by quantity; `notes` what else is to be known.
    """

    problem: Problem
    conventions: Conventions
    seen: Mapping[Key, Array]
    lacking: frozenset[Key]
    wrong: tuple[Key, ...]
    lines: Mapping[str, tuple[int, str]]
    said: Mapping[str, str]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it: arrays are lists, keys are pairs."""
        problem = {f.name: _plain(getattr(self.problem, f.name)) for f in _fields(Problem)}
        conventions = {f.name: getattr(self.conventions, f.name) for f in _fields(Conventions)}
        counting = self.conventions.counting
        return {
            "problem": problem,
            "conventions": {
                **conventions, "states": sorted(self.conventions.states),
                "counting": None if counting is None else [counting.factor, list(counting.over)],
            },
            "seen": [[*key, np.asarray(value).tolist()] for key, value in self.seen.items()],
            "lacking": list(map(list, self.lacking)), "wrong": list(map(list, self.wrong)),
            "lines": {name: list(line) for name, line in self.lines.items()},
            "said": dict(self.said), "notes": list(self.notes),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> "Walk":
        """Return the walk that `to_dict` gave."""
        problem, conventions = found["problem"], found["conventions"]
        counting = conventions["counting"]
        arrays: dict[str, Any] = {name: np.array(problem[name], float) for name in ("X", "Y", "dA")}
        for name in ("state", "parameters"):
            arrays[name] = {n: np.array(value, float) for n, value in problem[name].items()}
        return cls(
            Problem(**{**problem, **arrays, "shared": frozenset(problem["shared"])}),
            Conventions(**{
                **conventions, "states": frozenset(conventions["states"]),
                "counting": counting and Counting(counting[0], tuple(counting[1])),
            }),
            {(name, t): np.array(value, float) for name, t, value in found["seen"]},
            frozenset(_keys(found["lacking"])), tuple(_keys(found["wrong"])),
            {name: (line, text) for name, (line, text) in found["lines"].items()},
            found["said"], tuple(found["notes"]),
        )  # fmt: skip


def _fields(of: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(of)


def _keys(pairs: Iterable[Any]) -> Iterable[Key]:
    return ((name, t) for name, t in pairs)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    return value.tolist() if isinstance(value, np.ndarray) else value
