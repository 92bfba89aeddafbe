"""Model files: the parameters of a network, and the settings that make it again.

No code is run for a file: a network with a cell of one's own is loaded by saying where its cell file
is.
"""

import inspect
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.cells import cell_names
from unrolled.errors import UnrolledError
from unrolled.files import check_not_locked
from unrolled.inputs import check_parameters
from unrolled.network import Network, build_architecture, real_dtype
from unrolled.parameters import Parameters
from unrolled.tensor_file import read, refusal, write


def save(net: Network, path: str | Path) -> None:
    """Write a network to `path`, whole or not at all.

    Raises UnrolledError where its parameters are not in order (an older file is then left as it
    was), where the file cannot be written, or where a training writes into its folder.
    """
    check_not_locked(Path(path).parent)
    write_model(net, Path(path))


def write_model(net: Network, path: Path) -> None:
    """Write a network, in a folder that the caller has to itself."""
    check_parameters(net.parameters, net.architecture, net.dtype)
    write(path, "model", {"settings": net.settings}, net.parameters)


def load(path: str | Path, cell: Any = None) -> Network:
    """Return the network in the file `path`.

    `cell` says where the cell file is, for a cell that is not in the package: a model file does not
    choose which code runs. Raises UnrolledError where there is no such file, where it is damaged or
    of another kind, and where a newer version is needed.
    """
    content, tensors = read(Path(path), "model")
    try:
        return _network(content.get("settings"), tensors, cell)
    except UnrolledError as error:
        raise refusal(Path(path), "model", f"cannot be used: {error}") from None


def _network(settings: Any, tensors: dict[str, Any], cell: Any) -> Network:
    _check_settings(settings)
    if cell is not None:
        settings["cell"] = cell
    elif settings["cell"] not in cell_names():
        raise UnrolledError(
            f"its cell is {settings['cell']!r}, which is not in the package: "
            "say where the cell file is, with cell=…"
        )
    made_of = {name: value for name, value in settings.items() if name not in ("dtype", "seed")}
    architecture, dtype = build_architecture(**made_of), real_dtype(settings["dtype"])
    check_parameters(tensors, architecture, dtype)  # before a network of that size is made
    net = Network(**settings)
    net.parameters = Parameters(
        (name, np.asfortranarray(tensors.pop(name))) for name in architecture.parameters
    )
    return net


def _check_settings(settings: Any) -> None:
    """Look at names and kinds only; what builds a network looks at the values."""
    if not isinstance(settings, dict):
        raise UnrolledError("it has no settings")
    known = inspect.signature(build_architecture).parameters
    needed = {n for n, it in known.items() if it.default is it.empty} | {"dtype", "seed"}
    for name in sorted(settings.keys() - known.keys() - {"dtype", "seed"}):
        raise UnrolledError(f"its settings have {name!r}, which is not known")
    for name in sorted(needed - settings.keys()):
        raise UnrolledError(f"its settings lack {name!r}")
    for name, value in settings.items():
        if isinstance(value, dict | list):
            raise UnrolledError(f"its setting {name} is {value!r}: expected a number or a text")
