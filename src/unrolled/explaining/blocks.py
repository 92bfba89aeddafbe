"""Matrices in brackets, side by side with what stands between them, as lines of characters."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from unrolled.explaining.writing import number
from unrolled.notation import ascii_text, pad, width

Array = Any
Block = list[str]  # lines of one width

_LEFT, _RIGHT = ("⎡⎢⎣", "⎤⎥⎦")
_RAISED = ("ᵀ", "²")  # these stand at the top of what they are of


def matrix(
    array: Array, labels: Sequence[str] = (), ascii: bool = False, bare: bool = True
) -> Block:
    """Return an array (n, m) in brackets, `labels` before its rows; a single number has none if it is `bare`."""
    columns = [_aligned(column, ascii) for column in np.asarray(array).T]
    rows = [" ".join(cells) for cells in zip(*columns, strict=True)]
    if np.size(array) == 1 and bare and not labels:
        return [rows[0].strip()]
    wide = max(map(width, labels), default=0)
    before = [pad(label, wide) for label in labels] or [""] * len(rows)
    return [
        f"{label}{_bracket(_LEFT, '[', k, len(rows), ascii)}{row}{_bracket(_RIGHT, ']', k, len(rows), ascii)}"
        for k, (label, row) in enumerate(zip(before, rows, strict=True))
    ]


def _bracket(pieces: str, single: str, k: int, rows: int, ascii: bool) -> str:
    if ascii or rows == 1:
        return single
    return pieces[0 if k == 0 else 2 if k == rows - 1 else 1]


def _aligned(values: Array, ascii: bool) -> list[str]:
    """Return numbers as texts of one width, their points in one place."""
    texts = [number(value) for value in values]
    parts = [(ascii_text(text) if ascii else text).partition(".") for text in texts]
    before = max(len(head) for head, _, _ in parts)
    behind = max(len(point + tail) for _, point, tail in parts)
    return [f"{head:>{before}}{point + tail:<{behind}}" for head, point, tail in parts]


def beside(text: str, blocks: Mapping[str, Block], ascii: bool = False) -> Block:
    """Return a text with blocks in the place of the characters that stand for them."""
    pieces = list(_pieces(text, blocks, ascii))
    high = max(map(len, pieces))
    return ["".join(row).rstrip() for row in zip(*(_filled(p, high) for p in pieces), strict=True)]


def _pieces(text: str, blocks: Mapping[str, Block], ascii: bool) -> Iterator[Block]:
    """Yield the blocks and what is between them; a raised sign has as many lines as what it is of."""
    high = 1
    for is_block, group in itertools.groupby(text, blocks.__contains__):
        if is_block:
            for mark in group:
                yield blocks[mark]
                high = len(blocks[mark])
            continue
        between = "".join(group)
        if between[0] in _RAISED:
            raised = ascii_text(between[0]) if ascii else between[0]
            yield [raised, *[" " * len(raised)] * (high - 1)]
            between = between[1:]
        yield [ascii_text(between) if ascii else between]


def _filled(block: Block, high: int) -> Block:
    """Return a block with empty lines above and below, itself in the middle."""
    above, empty = (high - len(block)) // 2, " " * width(block[0])
    return [*[empty] * above, *block, *[empty] * (high - len(block) - above)]
