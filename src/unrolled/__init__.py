"""Unrolled: recurrent networks whose every number can be seen.

The public names; `unrolled.notation` has the legend they are written in.
"""

from unrolled import activations, functions, notation
from unrolled.cells import cell_names
from unrolled.errors import UnrolledError
from unrolled.gradients.check import gradient_check
from unrolled.gradients.truncated import truncated_gradients
from unrolled.model_file import load, save
from unrolled.network import Network
from unrolled.tape import Tape

__version__ = "0.1.0"
__all__ = [
    "Network", "Tape", "UnrolledError", "activations", "cell_names", "functions",
    "gradient_check", "load", "notation", "save", "truncated_gradients",
]  # fmt: skip
