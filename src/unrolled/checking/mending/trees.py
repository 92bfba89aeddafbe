"""Syntax trees that differ in one place and share all else, so that only what differs is compiled anew."""

import ast
import copy
from collections.abc import Iterator, Sequence
from typing import Any

Slot = tuple[ast.AST, str, int | None]  # the node around, its field, the index in that field


class Family:
    """A tree and where each of its nodes hangs, from which trees with another node there are made."""

    def __init__(self, tree: ast.Module):
        self.tree = tree
        self.slots: dict[int, Slot] = {}
        for node in ast.walk(tree):
            for field, value in ast.iter_fields(node):
                for index, child in _children(value):
                    self.slots[id(child)] = (node, field, index)

    def above(self, node: ast.AST) -> Iterator[ast.AST]:
        """Yield what is around a node, innermost first."""
        while (slot := self.slots.get(id(node))) is not None:
            node = slot[0]
            yield node

    def statement(self, node: ast.AST) -> ast.stmt | None:
        """Return the innermost statement that a node is, or is in."""
        return next((n for n in (node, *self.above(node)) if isinstance(n, ast.stmt)), None)

    def function(self, node: ast.AST) -> ast.FunctionDef | None:
        """Return the function that a node is in."""
        return next((n for n in self.above(node) if isinstance(n, ast.FunctionDef)), None)

    def with_other(self, old: ast.AST, new: ast.AST | Sequence[ast.AST]) -> "Relative":
        """Return the tree with `new`, one node or several statements, in the place of a node."""
        around, field, index = self.slots[id(old)]
        if index is None:
            return self._grown(around, {field: new})
        kept = getattr(around, field)
        here = list(new) if isinstance(new, list | tuple) else [new]
        return self._grown(around, {field: [*kept[:index], *here, *kept[index + 1 :]]})

    def with_body(self, around: ast.AST, field: str, body: Sequence[ast.AST]) -> "Relative":
        """Return the tree with other statements in a block."""
        return self._grown(around, {field: list(body)})

    def _grown(self, node: ast.AST, fields: dict[str, Any]) -> "Relative":
        """Copy what is around a change, up to the root."""
        copies: dict[int, ast.AST] = {}
        while True:
            grown = copy.copy(node)
            for field, value in fields.items():
                setattr(grown, field, value)
            copies[id(grown)] = node
            slot = self.slots.get(id(node))
            if slot is None:
                assert isinstance(grown, ast.Module)
                return Relative(grown, copies)
            node, field, index = slot
            kept = getattr(node, field)
            fields = {field: grown if index is None else [*kept[:index], grown, *kept[index + 1 :]]}


class Relative:
    """A tree of a family; `copies` has, by the id of each copied node, the node that it was copied from."""

    def __init__(self, tree: ast.Module, copies: dict[int, ast.AST]):
        self.tree, self.copies = tree, copies

    def origin(self, node: ast.AST) -> ast.AST:
        """Return the node of the family's own tree that a node stands for."""
        return self.copies.get(id(node), node)


def _children(value: Any) -> list[tuple[int | None, ast.AST]]:
    if isinstance(value, ast.AST):
        return [(None, value)]
    if isinstance(value, list):
        return [(k, child) for k, child in enumerate(value) if isinstance(child, ast.AST)]
    return []
