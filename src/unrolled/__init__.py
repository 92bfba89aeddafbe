"""Unrolled: recurrent networks whose every number can be seen.

The public names; `unrolled.notation` has the legend they are written in.
"""

import importlib.util
from typing import TYPE_CHECKING, Any

from unrolled import activations, dls, functions, notation
from unrolled.cells import cell_names
from unrolled.checking.asking import check
from unrolled.errors import UnrolledError
from unrolled.explaining.explanation import Explanation, explain
from unrolled.gradients.check import gradient_check
from unrolled.gradients.truncated import truncated_gradients
from unrolled.model_file import load, save
from unrolled.network import Network
from unrolled.tape import Tape
from unrolled.training.optimisers import SGD, Adam
from unrolled.training.tasks.loading import load_data
from unrolled.training.train import train

if TYPE_CHECKING:
    from unrolled.interop.scikit_learn import SequenceClassifier as SequenceClassifier
    from unrolled.interop.scikit_learn import SequenceRegressor as SequenceRegressor

__version__ = "0.1.0"
__all__ = [
    "Adam", "Explanation", "Network", "SGD", "Tape", "UnrolledError", "activations", "cell_names", "check", "dls", "explain", "functions",
    "gradient_check", "load", "load_data", "notation", "save", "train", "truncated_gradients",
]  # fmt: skip
# scikit-learn comes in when they are used
_ESTIMATORS = ("SequenceClassifier", "SequenceRegressor")


def __getattr__(name: str) -> Any:
    if name not in _ESTIMATORS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from unrolled.interop import scikit_learn
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "sklearn":
            raise
        raise UnrolledError(f"{name} needs scikit-learn: pip install 'unrolled[data]'") from None
    return getattr(scikit_learn, name)


def __dir__() -> list[str]:
    there = importlib.util.find_spec("sklearn") is not None
    return sorted([*globals(), *(_ESTIMATORS if there else ())])
