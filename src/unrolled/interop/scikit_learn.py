"""Networks as scikit-learn estimators: one target for each sequence, a class or numbers."""

from collections.abc import Callable
from typing import Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils import Tags, assert_all_finite, check_array, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from unrolled.data.scaling import mean_and_scale
from unrolled.data.windows import Sequences, split_off
from unrolled.errors import UnrolledError, number_below_one, whole_number
from unrolled.interop.sequences import Inputs, Steps, steps_of
from unrolled.network import Network
from unrolled.threads import threads_for
from unrolled.training.evaluation import predictions
from unrolled.training.optimisers import SGD, Adam
from unrolled.training.tasks.labelled import split_labelled
from unrolled.training.train import train

Array = Any


class _SequenceEstimator(BaseEstimator):
    """What both estimators are: a network that is shown each sequence whole, and asked at its end."""

    def __init__(
        self, cell: Any = "gru", *, n_a: int = 64, layers: int = 1, bidirectional: bool = False,
        embedding: int | None = None, dropout: float = 0.0, activation: str | None = None,
        dtype: Any = "float32", engine: str = "auto", optimiser: str = "adam",
        learning_rate: float = 0.01, momentum: float = 0.0, schedule: str = "cosine",
        clip_norm: float | None = 1.0, epochs: int | None = 30, steps: int | None = None,
        batch: int = 32, validation: float = 0.0, patience: int | None = 10,
        standardise: bool = True, random_state: Any = None,
    ):  # fmt: skip
        self.cell = cell
        self.n_a = n_a
        self.layers = layers
        self.bidirectional = bidirectional
        self.embedding = embedding
        self.dropout = dropout
        self.activation = activation
        self.dtype = dtype
        self.engine = engine
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.schedule = schedule
        self.clip_norm = clip_norm
        self.epochs = epochs
        self.steps = steps
        self.batch = batch
        self.validation = validation
        self.patience = patience
        self.standardise = standardise
        self.random_state = random_state

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        return tags

    def _fit(
        self, steps: Steps, Y: Array, output: str, n_y: int, kept: Array, held: Array, seed: int
    ) -> None:
        """Learn Y, which has a row a sequence, from the sequences `kept`; watch those `held` back."""
        if not isinstance(self.standardise, bool | np.bool_):
            raise UnrolledError(f"standardise is {self.standardise!r}: expected True or False")
        inputs = Inputs.learned(steps, kept, bool(self.standardise))
        network = Network(
            self.cell, n_x=inputs.n_x, n_a=self.n_a, n_y=n_y, activation=self.activation,
            output=output, layers=self.layers, bidirectional=self.bidirectional,
            embedding=self.embedding, dropout=self.dropout, dtype=self.dtype, seed=seed,
            engine=self.engine,
        )  # fmt: skip
        rows = inputs.rows(steps, network.dtype)
        m = whole_number("batch", self.batch, 1)

        def source(chosen: Array, m: int, seed: int | None) -> Sequences:
            starts, lengths = steps.starts[chosen], steps.lengths[chosen]
            return Sequences(rows, Y[chosen], starts, lengths, m, None, "sequence", seed)

        training = source(kept, m, seed)
        history = train(
            network, training, validation=source(held, 4 * m, None) if len(held) else None,
            optimiser=self._optimiser(), epochs=self.epochs, steps=self.steps,
            schedule=self.schedule, clip_norm=self.clip_norm, every=training.updates,
            patience=self.patience if len(held) else None, seed=seed,
        )  # fmt: skip
        self.net_, self.inputs_, self.history_ = network, inputs, history
        self.n_features_in_, self.n_iter_ = inputs.n_x, history.updates[-1].epoch

    def _optimiser(self) -> SGD | Adam:
        if self.optimiser == "sgd":
            return SGD(self.learning_rate, self.momentum)
        if self.optimiser != "adam":
            raise UnrolledError(f"optimiser is {self.optimiser!r}: expected 'adam' or 'sgd'")
        if self.momentum:
            raise UnrolledError(f"momentum is {self.momentum!r}: expected 0 with optimiser 'adam'")
        return Adam(self.learning_rate)

    def _outputs(self, X: Array) -> Array:
        """Return ŷ at the last step of each sequence, (N, n_y), in double precision."""
        check_is_fitted(self, "net_")
        steps = steps_of(X)
        N, m = len(steps), 4 * whole_number("batch", self.batch, 1)
        rows = self.inputs_.rows(steps, self.net_.dtype)
        # Sequences of like length are run together; the target of each is where it stands in X.
        source = Sequences(
            rows, np.arange(N), steps.starts, steps.lengths, m, None, "sequence", None
        )
        outputs = np.empty((N, self.net_.sizes["n_y"]))
        with threads_for(self.net_.sizes["n_a"]):
            for y_hat, places in predictions(self.net_, source):
                outputs[places] = y_hat.T
        return outputs

    def _seed(self) -> int:
        return int(_asked(check_random_state, self.random_state).randint(2**31 - 1))

    def _check_given(self, y: Any) -> None:
        if y is None:
            name = type(self).__name__
            raise UnrolledError(f"{name} requires y to be passed, but the target y is None")


class SequenceClassifier(ClassifierMixin, _SequenceEstimator):
    """A recurrent network that says the class of a sequence, as a scikit-learn estimator.

    X is a list (or object array) of N sequences: each (T, n_x) numbers, (T,) numbers of one feature,
    or a text, whose characters are the steps. Or it is an array (N, T, n_x) or (N, T), in which steps
    at a sequence's end that are NaN in all features are padding. Lengths may differ, and those that
    are predicted need not be of those that were learned. y is one class for each sequence.
    Weights of sequences (`sample_weight`) are not supported.

    Args:
        cell, n_a, layers, bidirectional, embedding, dropout, activation, dtype, engine: as in Network.
        optimiser: "adam" or "sgd", with `learning_rate`; `momentum` is that of "sgd".
        schedule, clip_norm: as in `train`.
        epochs, steps: how many passes over the data, how many updates; the first one reached ends it,
            None does not.
        batch: sequences an update.
        validation: the share of the sequences that is held back; the parameters with the lowest loss
            on them are kept.
        patience: passes without a lower loss on them after which training ends; None: it does not.
        standardise: whether from each feature the mean is taken, and it is divided by its standard
            deviation, those over all steps that are learned from.
        random_state: of parameters, order, dropout and what is held back: a whole number for the same
            bytes each time, a RandomState, or None.

    Attributes:
        classes_: the classes, sorted, in the order of predict_proba's columns.
        net_: the Network.
        history_: what `train` returned.
        n_iter_: passes over the data.
        n_features_in_: features of a step, n_x; of texts, how many characters there are.
        inputs_: how steps become the network's inputs: its `vocabulary` of texts, or None, and (n_x,)
            `mean` and `scale`, what is taken from each feature and what it is divided by.

    What cannot be used raises UnrolledError, a ValueError, in `fit` and not before.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network on sequences X and their classes y (N,); return self."""
        self._check_given(y)
        steps = steps_of(X)
        y = _asked(column_or_1d, y, warn=True)
        _asked(assert_all_finite, y, input_name="y")
        _asked(check_classification_targets, y)
        _check_count(steps, y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            [only] = classes.tolist()
            raise UnrolledError(f"y has one class, {only!r}: expected two classes or more")
        seed = self._seed()
        share = number_below_one("validation", self.validation)
        kept, held = split_labelled(labels.tolist(), share, seed)
        self._fit(steps, labels, "softmax", len(classes), kept, held, seed)
        self.classes_ = classes
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return the probability of each class, (N, classes), in the order of `classes_`."""
        y_hat = self._outputs(X)
        return y_hat / y_hat.sum(axis=1, keepdims=True)  # 1 in double precision too

    def predict(self, X: Any) -> Array:
        """Return the likeliest class of each sequence, (N,)."""
        y_hat = self._outputs(X)
        return self.classes_[y_hat.argmax(axis=1)]


class SequenceRegressor(RegressorMixin, _SequenceEstimator):
    """A recurrent network that says one or several numbers of a sequence, as a scikit-learn estimator.

    X and the arguments are those of SequenceClassifier; y is (N,) or (N, n_y) numbers.
    `standardise` is of the targets too. Weights of sequences (`sample_weight`) are not supported.

    Attributes:
        net_, history_, n_iter_, n_features_in_, inputs_: as SequenceClassifier's.
        target_mean_, target_scale_: (n_y,) what is taken from the targets, and what they are divided by.

    What cannot be used raises UnrolledError, a ValueError, in `fit` and not before.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network on sequences X and their targets y, (N,) or (N, n_y); return self."""
        self._check_given(y)
        steps = steps_of(X)
        y = _asked(check_array, y, dtype=np.float64, ensure_2d=False, input_name="y")
        _check_count(steps, y)
        Y = y.reshape(len(y), -1)
        seed = self._seed()
        kept, held = split_off(len(Y), number_below_one("validation", self.validation), seed)
        mean, scale = mean_and_scale(Y[kept])
        if not self.standardise:
            mean, scale = np.zeros_like(mean), np.ones_like(scale)
        self._fit(steps, (Y - mean) / scale, "linear", Y.shape[1], kept, held, seed)
        self.target_mean_, self.target_scale_, self._target_shape = mean, scale, y.shape[1:]
        return self

    def predict(self, X: Any) -> Array:
        """Return the targets of each sequence: (N,), or (N, n_y) where y was."""
        y_hat = self._outputs(X) * self.target_scale_ + self.target_mean_
        return y_hat.reshape(-1, *self._target_shape)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _check_count(steps: Steps, y: Array) -> None:
    if len(steps) != len(y):
        raise UnrolledError(
            f"X has {len(steps)} sequences, and y {len(y)} targets: expected as many"
        )


def _asked(check: Callable[..., Any], value: Any, **options: Any) -> Any:
    """Return what scikit-learn's check of a value does; what it says is Unrolled's sentence."""
    try:
        return check(value, **options)
    except (ValueError, TypeError) as error:
        raise UnrolledError(" ".join(str(error).split())) from None
