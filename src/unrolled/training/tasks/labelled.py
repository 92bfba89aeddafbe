"""Sequences with one label each: which class is it?"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from unrolled.data.baselines import majority
from unrolled.data.scaling import mean_and_scale, standard
from unrolled.data.tables import LabelledSequences
from unrolled.data.text import Vocabulary
from unrolled.data.windows import Sequences, Source, split_off
from unrolled.errors import UnrolledError, about
from unrolled.network import Network
from unrolled.training.evaluation import predictions
from unrolled.training.tasks import Dataset, Measures, Usual, mean_and_scale_of, texts

Array = Any


@dataclass(frozen=True)
class Labelled:
    """To say the label of a sequence at its last step.

    Steps are characters of `vocabulary`, or rows of numbers with the named `features`, from which
    `mean` is taken and which are divided by `scale` (n_x,).
    """

    labels: tuple[str, ...]
    features: tuple[str, ...]
    mean: Array
    scale: Array
    vocabulary: Vocabulary | None = None

    kind: ClassVar[str] = "labelled"
    measure: ClassVar[str] = "accuracy"
    higher: ClassVar[bool] = True
    ahead: ClassVar[bool] = False
    usual: ClassVar[Usual] = Usual(64, 1000, 0.01, "cosine")

    @classmethod
    def of(cls, data: LabelledSequences) -> "Labelled":
        """Return the task of labelled sequences; mean and scale are theirs, if they need any."""
        labels = tuple(sorted(set(data.labels)))
        if len(labels) < 2:
            raise UnrolledError(f"all sequences have the label {labels[0]!r}: expected two or more")
        if isinstance(data.sequences[0], str):
            text = "".join(data.sequences)
            return cls(labels, (), np.zeros(0), np.ones(0), Vocabulary(text))
        n = len(data.features)
        scaled = (
            (np.zeros(n), np.ones(n))
            if data.scaled
            else mean_and_scale(np.concatenate(data.sequences))
        )
        return cls(labels, data.features, *scaled)

    @classmethod
    def made(cls, settings: Mapping[str, Any]) -> "Labelled":
        """Return the task that `settings` are of."""
        characters = settings["characters"]
        vocabulary = None if characters is None else Vocabulary(characters)
        labels, features = (texts(settings[name]) for name in ("labels", "features"))
        mean, scale = mean_and_scale_of(settings, len(features))
        return cls(labels, features, mean, scale, vocabulary)

    @property
    def settings(self) -> dict[str, Any]:
        """What makes the task again."""
        return {
            "kind": self.kind, "labels": list(self.labels), "features": list(self.features),
            "mean": self.mean.tolist(), "scale": self.scale.tolist(),
            "characters": self.vocabulary.characters if self.vocabulary else None,
        }  # fmt: skip

    @property
    def sizes(self) -> dict[str, Any]:
        """n_x, n_y and output of a network."""
        n_x = len(self.vocabulary) if self.vocabulary else len(self.mean)
        return {"n_x": n_x, "n_y": len(self.labels), "output": "softmax"}

    def source(self, data: LabelledSequences, m: int, T: int | None, seed: int | None) -> Sequences:
        """Return the windows of labelled sequences. Raises UnrolledError for a label not known."""
        place = {label: k for k, label in enumerate(self.labels)}
        for k, label in enumerate(data.labels):
            if label not in place:
                listed = ", ".join(map(repr, self.labels[:20]))
                raise UnrolledError(
                    f"the label {label!r} (of sequence {k + 1}) was not learned: expected one of "
                    f"{listed}{', …' if len(self.labels) > 20 else ''}"
                )
        Y = np.array([place[label] for label in data.labels])
        lengths = np.array([len(sequence) for sequence in data.sequences])
        starts = np.cumsum(lengths) - lengths
        return Sequences(self._rows(data), Y, starts, lengths, m, T, "sequence", seed)

    def _rows(self, data: LabelledSequences) -> Array:
        """The steps of all sequences one under the other."""
        if self.vocabulary is not None:
            if not isinstance(data.sequences[0], str):
                raise UnrolledError("the sequences are numbers: the run was trained on text")
            return np.concatenate(list(self._encoded(self.vocabulary, data.sequences)))
        if isinstance(data.sequences[0], str) or data.features != self.features:
            came = ", ".join(data.features[:20]) or "text"
            listed = ", ".join(self.features[:20])
            raise UnrolledError(f"the features are {came}: expected those of the run, {listed}")
        return standard(np.concatenate(data.sequences), self.mean, self.scale)

    @staticmethod
    def _encoded(vocabulary: Vocabulary, texts: Sequence[Any]) -> Iterator[Array]:
        for k, text in enumerate(texts, start=1):
            with about(f"sequence {k}"):
                yield vocabulary.encode(text)

    def measures(self, net: Network, source: Source) -> Measures:
        """Return the mean cross-entropy in nats, and the share of labels that are right."""
        loss, right, count = 0.0, 0, 0
        for y_hat, labels in predictions(net, source):
            chosen = y_hat[labels, np.arange(len(labels))]
            loss -= float(np.log(np.maximum(chosen, np.finfo(chosen.dtype).tiny)).sum())
            right += int((y_hat.argmax(axis=0) == labels).sum())
            count += len(labels)
        return {"loss": loss / count, "accuracy": right / count}

    def write(self, net: Network, count: int | None = None) -> list[str]:
        """Nothing: it names classes."""
        return []


def labelled_dataset(
    data: LabelledSequences, m: int, T: int | None, share: float, seed: int, said: str
) -> Dataset:  # fmt: skip
    """Return labelled sequences as data, with a share of them held back."""
    kept, held = split_labelled(data.labels, share, seed)
    training = _chosen(data, kept)
    whole = Labelled.of(data)  # characters and labels are those of all; mean and scale are not
    own = Labelled.of(training)
    task = Labelled(whole.labels, own.features, own.mean, own.scale, whole.vocabulary)
    source, validation = task.source(training, m, T, seed), None
    n, references = len(task.labels), {}
    references[f"chance, 1 of {n}"] = {"loss": math.log(n), "accuracy": 1 / n}
    if len(held):
        validation = task.source(_chosen(data, held), 4 * m, T, None)
        accuracy, loss = majority(source.Y, validation.Y, n)
        references["always the commonest label"] = {"loss": loss, "accuracy": accuracy}
    facts = (said, *_facts(source, len(held), n, task.sizes["n_x"]))
    alone = len(split_off(len(data.labels), share, seed)[1]) - len(held)
    if alone:
        facts += (
            f"{alone:,} more would be held back, were they not the only ones of their labels",
        )
    return Dataset(task, source, validation, references, facts)


def _facts(source: Sequences, held: int, labels: int, n_x: int) -> list[str]:
    shortest, longest = source.lengths.min(), source.lengths.max()
    steps = f"{shortest}" if shortest == longest else f"{shortest} to {longest}"
    also = f", {held:,} held back" if held else ""
    learned = f"{len(source):,} sequences to learn from{also}"
    return [f"{learned}, {labels} labels, {steps} steps of {n_x} features"]


def split_labelled(labels: Sequence[Any], share: float, seed: int) -> tuple[Array, Array]:
    """Draw what is held back; a label that would not be learned then keeps its first sequence."""
    kept, held = split_off(len(labels), share, seed)
    learned = {labels[k] for k in kept}
    moved = []
    for k in held:
        if labels[k] not in learned:
            learned.add(labels[k])
            moved.append(k)
    return np.sort([*kept, *moved]).astype(int), np.setdiff1d(held, moved)


def _chosen(data: LabelledSequences, places: Array) -> LabelledSequences:
    sequences: Any = [data.sequences[k] for k in places]
    return replace(data, sequences=sequences, labels=[data.labels[k] for k in places])
