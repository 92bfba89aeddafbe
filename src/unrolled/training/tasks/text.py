"""Text, character by character: names, one a line, or prose, one stream."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from unrolled.data.baselines import ngram_loss
from unrolled.data.text import Vocabulary, lines_of
from unrolled.data.windows import Sequences, Source, Stream, split_off
from unrolled.errors import UnrolledError, about
from unrolled.network import Network
from unrolled.training.evaluation import mean_loss
from unrolled.training.sampling import sample
from unrolled.training.tasks import Dataset, Measures, Usual

Array = Any
_LONG = 200  # steps of a line that are shown at once
_COUNTED = 3_000_000  # characters that the trigram model is made from, at most


@dataclass(frozen=True)
class Text:
    """To predict each character from those before it: of a line where `names`, else of all the text.

    `start` is what a sample begins after where nothing else is said.
    """

    names: bool
    vocabulary: Vocabulary
    start: str

    kind: ClassVar[str] = "text"
    measure: ClassVar[str] = "perplexity"
    higher: ClassVar[bool] = False
    ahead: ClassVar[bool] = True
    usual: ClassVar[Usual] = Usual(128, 2000, 0.005, "cosine", patience=10)

    @classmethod
    def of(cls, text: str, names: bool) -> "Text":
        """Return the task of a text."""
        return cls(names, Vocabulary(text + "\n" * names), "\n" if names else text[0])

    @classmethod
    def made(cls, settings: Mapping[str, Any]) -> "Text":
        """Return the task that `settings` are of."""
        names, characters, start = (settings[name] for name in ("names", "characters", "start"))
        if not (isinstance(names, bool) and set(start) <= set(characters)) or characters == "":
            raise ValueError("characters and start of a text")
        return cls(names, Vocabulary(characters), start)

    @property
    def settings(self) -> dict[str, Any]:
        """What makes the task again."""
        return {
            "kind": self.kind, "names": self.names, "characters": self.vocabulary.characters,
            "start": self.start,
        }  # fmt: skip

    @property
    def sizes(self) -> dict[str, Any]:
        """n_x, n_y and output of a network."""
        return {"n_x": len(self.vocabulary), "n_y": len(self.vocabulary), "output": "softmax"}

    def source(self, text: str, m: int, T: int | None, seed: int | None) -> Source:
        """Return the windows of a text: of its lines, whole, or of its m parts side by side."""
        labels = self.vocabulary.encode(text)  # which says the line of a character not known
        if self.names:
            T = _LONG if T is None else T
            labels = self.vocabulary.encode("\n".join(["", *lines_of(text), ""]))
            ends = np.flatnonzero(labels == self.vocabulary.encode("\n")[0])
            return Sequences(labels[:-1], labels[1:], ends[:-1], np.diff(ends), m, T, seed=seed)
        if len(labels) < 2:
            raise UnrolledError("the text has one character: expected at least 2")
        T = 64 if T is None else T
        side_by_side = max(1, min(m, (len(labels) - 1) // (2 * T)))
        return Stream(labels[:-1], labels[1:], side_by_side, T)

    def looked_at(self, text: str) -> Source:
        """Return the windows of a text to measure a network on: prose in as few parts side by side as
        time allows, for each begins without a past.
        """
        return self.source(
            text, 256 if self.names else max(1, min(128, len(text) // 1000)), None, None
        )

    def measures(self, net: Network, source: Source) -> Measures:
        """Return the loss per character in nats, and the perplexity."""
        return _measures(mean_loss(net, source))

    def write(self, net: Network, count: int | None = None) -> list[str]:
        """Return texts that the network writes: five lines, or one piece of prose; none where its
        state grows without bounds on the way, as that of a plain network with relu may.
        """
        try:
            return self.continued(net, "", count or (5 if self.names else 1))
        except UnrolledError:
            return []

    def continued(self, net: Network, prefix: str, count: int, **options: Any) -> list[str]:
        """Return texts that begin with `prefix`; `options` are those of `sample`."""
        with about("prefix"):
            self.vocabulary.encode(prefix)
        ends: dict[str, Any] = (
            {"stop": "\n", "longest": 80} if self.names else {"stop": "", "longest": 300}
        )
        before = "\n" + prefix if self.names else prefix or self.start
        texts = sample(net, self.vocabulary, count, before, **(ends | options))
        return [prefix + text for text in texts]


def text_dataset(
    text: str, names: bool, m: int, T: int | None, share: float, seed: int, said: str
) -> Dataset:  # fmt: skip
    """Return a text as data, with a share of its lines, or of its end, held back."""
    task = Text.of(text, names)
    kept, held = _split(text, names, share, seed)
    training = task.source(kept, m, T, seed)
    validation = task.looked_at(held) if held else None
    n = len(task.vocabulary)
    references = {f"chance, 1 of {n}": _measures(math.log(n))}
    if validation is not None:
        counted = _trigrams(task, kept[:_COUNTED])
        references["a trigram model"] = _measures(ngram_loss(counted, _trigrams(task, held), n))
    unit = "lines" if names else "characters"
    counts = [part.count("\n") + 1 if names else len(part) for part in (kept, held) if part]
    also = f", {counts[1]:,} held back" if held else ""
    facts = (said, f"{counts[0]:,} {unit} to learn from{also}, {n} different characters")
    return Dataset(task, training, validation, references, facts)


def _measures(loss: float) -> Measures:
    return {"loss": loss, "perplexity": math.exp(min(loss, 700.0))}


def _split(text: str, names: bool, share: float, seed: int) -> tuple[str, str]:
    """Return what is learned from and what is held back: lines drawn, or the end of a stream."""
    if not names:
        cut = max(2, len(text) - int(len(text) * share))
        return text[:cut], text[cut:] if len(text) - cut > 1 else ""
    lines = lines_of(text)
    kept, held = split_off(len(lines), share, seed)
    return "\n".join(lines[k] for k in kept), "\n".join(lines[k] for k in held)


def _trigrams(task: Text, text: str) -> Array:
    """Return for each character the two before it and itself; before a line there are newlines."""
    labels = task.vocabulary.encode("\n".join(["", text, ""]) if task.names else text)
    before = np.concatenate([labels[:1], labels[:-2]])
    if task.names:
        newline = task.vocabulary.encode("\n")[0]
        before = np.where(labels[:-1] == newline, newline, before)
    return np.stack([before, labels[:-1], labels[1:]], axis=1).astype(np.int64)
