"""Weights as attributes of an object that is an argument: which they are, and how such an object is made."""

import ast
import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING
from typing import Any

from unrolled.checking.calling import flow
from unrolled.checking.calling.arguments import size_meaning
from unrolled.checking.running.surroundings import restored

Functions = Sequence[ast.FunctionDef]


def attributes(name: str, functions: Functions, namespace: Mapping[str, Any]) -> list[str]:
    """Return the attributes of an argument that are data: the fields of their class that has all of those
    which are read, or these.
    """
    methods = {word for one in _own(namespace) for word, held in vars(one).items()
               if _is_method(held)}  # fmt: skip
    read = [word for word in dict.fromkeys(_read(name, functions)) if word not in methods]
    for fields in map(_fields, namespace.values()):
        if fields and set(read) <= set(fields):
            return [word for word, given in fields.items() if given or word in read]
    return read


def made(
    name: str, functions: Functions, namespace: Mapping[str, Any], values: Mapping[str, Any],
    size: Callable[[str], int],
) -> Any:  # fmt: skip
    """Return weights as attributes: of a named tuple or a dataclass of theirs that has these fields, of
    their class whose methods are called; else of a class of ours. `size` gives a size by its meaning.
    """
    for one in namespace.values():
        fields = _fields(one)
        if {word for word, given in fields.items() if given} <= set(values) <= set(fields):
            return one(**values)
    wanted = set(_read(name, functions)) - set(values)
    for one in _own(namespace):
        if wanted and wanted <= {word for word, held in vars(one).items() if _is_method(held)}:
            return _filled(one, values, size)
    return _Weights(values)


def by_name(value: Any, namespace: Mapping[str, Any]) -> Any:
    """Return what a named tuple or an object of their classes holds, by name; others as they are."""
    if hasattr(value, "_asdict"):
        return value._asdict()
    own = type(value).__module__ == namespace.get("__name__") and hasattr(value, "__dict__")
    return dict(vars(value)) if own and not isinstance(value, dict | list | type) else value


def _filled(one: type, values: Mapping[str, Any], size: Callable[[str], int]) -> Any:
    """Return an object of a class with these attributes, as its own constructor makes it if sizes do."""
    held: Any = object.__new__(one)
    with restored(), contextlib.suppress(Exception):
        given = [n for n, p in inspect.signature(one).parameters.items() if p.default is p.empty]
        held = one(**{n: size(size_meaning(n)) for n in given})
    vars(held).update(values)
    return held


def _read(name: str, functions: Functions) -> Iterator[str]:
    """Yield the attributes of an argument that are read, in the order of the text."""
    names = flow.aliases(name, functions) - {"self"}
    for node in (n for f in functions for n in ast.walk(f)):
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in names:
            yield node.attr


def _own(namespace: Mapping[str, Any]) -> list[type]:
    own = namespace.get("__name__")
    return [c for c in namespace.values() if isinstance(c, type) and c.__module__ == own]


def _fields(one: Any) -> dict[str, bool]:
    """Return the fields of a named tuple or a dataclass, with whether each has to be given."""
    if not isinstance(one, type):
        return {}
    held: dict[str, Any] = getattr(one, "__dataclass_fields__", {})
    found = {n: f.default is MISSING and f.default_factory is MISSING for n, f in held.items()}
    return found | dict.fromkeys(getattr(one, "_fields", ()), True)


def _is_method(held: Any) -> bool:
    return callable(held) or isinstance(held, classmethod | staticmethod | property)


class _Weights:
    """Weights as attributes."""

    def __init__(self, values: Mapping[str, Any]):
        self.__dict__.update(values)
