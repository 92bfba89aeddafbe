"""A run's network that reads a piece of text: the characters are what comes in, the next ones the targets."""

from dataclasses import replace
from pathlib import Path

from unrolled.errors import UnrolledError, about, one_line
from unrolled.explaining.explanation import Explanation, explain
from unrolled.training.finished import read_run
from unrolled.training.tasks.text import Text

_LONGEST = 300


def read_text(folder: Path, text: str | None, cell: str | None = None) -> Explanation:
    """Return the explanation of a run folder's network on a text; a line of names has its newlines added.

    `cell` is the cell file of a run with a cell of its own. Raises UnrolledError for other kinds of run and for
    a text that the network cannot read.
    """
    finished = read_run(folder, cell)
    task = finished.task
    if not isinstance(task, Text):
        raise UnrolledError(one_line(f"{folder} is of {task.kind} data: expected a run on text"))
    if text is None:
        raise UnrolledError(
            one_line(f"{folder} is a run folder: expected --text with what it is to read")
        )
    least = 1 if task.names else 2
    if not least <= len(text) <= _LONGEST:
        raise UnrolledError(f"text has {len(text)} characters: expected from {least} to {_LONGEST}")
    with about("text"):
        labels = task.vocabulary.encode(f"\n{text}\n" if task.names else text)
    net = finished.net.astype("float64")  # the digits that are shown are those of the calculation
    title = f"{folder.name}: the text {text!r}"
    explanation = explain(net, labels[None, :-1], labels[None, 1:], title=title)
    return replace(explanation, labels=tuple(task.vocabulary.characters))
