"""Which column is what: said by a person, or known by its usual name."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from unrolled.data.tables.cells import listed, quoted
from unrolled.data.tables.columns import Table

# The first that a table has is taken; "y" and "target" last, as they may be numbers to forecast.
_USUAL = {
    "label": ("label", "labels", "class", "category", "language", "target", "y"),
    "sequence": ("sequence", "sequence_id", "seq", "seq_id", "series", "series_id", "sample",
                 "sample_id", "trial", "trial_id", "id"),
    "time": ("time", "timestamp", "datetime", "date", "t", "ds", "step", "time_step", "timestep",
             "year", "month", "week", "day", "hour"),
}  # fmt: skip
_NAMES = frozenset(name for names in _USUAL.values() for name in names)


@dataclass(frozen=True)
class Roles:
    """The columns that have a role."""

    label: str | None = None
    sequence: str | None = None
    time: str | None = None
    target: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    def by_name(self) -> list[tuple[str, str]]:
        """Return each role that a column has, with the column."""
        single = [("label", self.label), ("sequence", self.sequence), ("time", self.time)]
        several = [("target", self.target), ("features", self.features)]
        return [(role, name) for role, name in single if name is not None] + [
            (role, name) for role, names in several for name in names
        ]


def is_usual(name: str) -> bool:
    """Whether a name is one that columns with a role usually have."""
    return _folded(name) in _NAMES


def check_roles(table: Table, said: Roles) -> None:
    """Raise UnrolledError for a column that is not there, or has two roles."""
    columns = table.frame.columns
    roles: dict[str, str] = {}
    for role, name in said.by_name():
        if name not in columns:
            raise table.error(
                f"has no column {quoted(name)}, named with --{role}: expected one of {listed(columns)}"
            )
        other = roles.setdefault(name, role)
        if other != role and {other, role} != {"target", "features"}:
            raise table.error(f"has the column {quoted(name)} named with --{other} and --{role}: "
                              "expected one of the two")  # fmt: skip
    if said.label is not None and said.target:
        raise table.error("is asked for a label and a target: --label is for labelled sequences, "
                          "--target for a series; expected one of the two")  # fmt: skip


def find_roles(table: Table, said: Roles) -> tuple[Roles, Table]:
    """Return the roles with those found by name, and the table without a column that numbers its
    rows: a sequence found by name whose every row is another one.
    """
    taken = {name for _, name in said.by_name()}
    free = [name for name in table.frame.columns if name not in taken]
    roles = replace(said, sequence=said.sequence or _usual("sequence", free),
                    time=said.time or _usual("time", free))  # fmt: skip
    name = roles.sequence
    if name is not None and said.sequence is None and table.frame[name].is_unique().all():
        note = f"{quoted(name)} is another one in every row and is left out"
        table = replace(table, frame=table.frame.drop(name), notes=(*table.notes, note))
        roles = replace(roles, sequence=None)
    if said.label is None and not said.target:
        roles = replace(roles, label=_label(table, free, roles))
    return roles, table


def _label(table: Table, free: Sequence[str], roles: Roles) -> str | None:
    """Return the label found by name, unless it looks like numbers of a series, or a coordinate."""
    name = _usual("label", free)
    if name is None or _folded(name) not in ("target", "y"):
        return name
    if _folded(name) == "y" and "x" in map(_folded, table.frame.columns):
        return None
    if table.kinds[name] != "number" or roles.sequence is not None:
        return name
    values = table.complete([name])
    is_label = (values == np.floor(values)).all() and 2 * len(np.unique(values)) <= len(values)
    return name if roles.time is None and is_label else None


def _usual(role: str, columns: Sequence[str]) -> str | None:
    known = {_folded(name): name for name in reversed(columns)}
    return next((known[name] for name in _USUAL[role] if name in known), None)


def _folded(name: str) -> str:
    return name.strip().casefold().replace(" ", "_").replace("-", "_")
