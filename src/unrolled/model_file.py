"""Model files: the parameters as safetensors, with the settings inside.

Nothing is unpickled and no code is run: a network with a cell of one's own is loaded by saying where
its cell file is.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from unrolled.cells import cell_names
from unrolled.errors import UnrolledError
from unrolled.files import write_bytes
from unrolled.inputs import check_parameters
from unrolled.network import Network, build_architecture
from unrolled.parameters import Parameters

FORMAT = 1


def save(net: Network, path: str | Path) -> None:
    """Write a network to `path`.

    Raises UnrolledError where its parameters are not in order (an older file is then left as it
    was), or where the file cannot be written.
    """
    check_parameters(net.parameters, net.architecture, net.dtype)
    tensors = {name: np.ascontiguousarray(value) for name, value in net.parameters.items()}
    # one entry, because the order of several is not the same from run to run
    metadata = {"unrolled": json.dumps({"format": FORMAT, "settings": net.settings})}
    write_bytes(Path(path), safetensors.numpy.save(tensors, metadata))


def load(path: str | Path, cell: Any = None) -> Network:
    """Return the network in the file `path`.

    `cell` says where the cell file is, for a cell that is not in the package: a model file does not
    choose which code runs. Raises UnrolledError where there is no such file, or where it is damaged
    or of another kind.
    """
    metadata, parameters = _read(Path(path))
    try:
        return _network(metadata, parameters, cell)
    except UnrolledError as error:
        raise UnrolledError(f"model file {path}: {error}") from None
    except Exception:  # whatever settings that nobody wrote by hand may hold
        raise UnrolledError(f"model file {path}: its settings are damaged") from None


def _read(path: Path) -> tuple[dict[str, str], dict[str, Any]]:
    try:
        if not path.is_file():
            raise UnrolledError(f"model file {path} is not there")
        with safetensors.safe_open(path, framework="numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
    except UnrolledError:
        raise
    except Exception as error:  # of safetensors, of the system, of a dtype NumPy lacks
        reason = " ".join(str(error).split())
        raise UnrolledError(f"model file {path} cannot be read: {reason}") from None
    return metadata, {name: np.asfortranarray(value) for name, value in tensors.items()}


def _network(metadata: dict[str, str], parameters: dict[str, Any], cell: Any) -> Network:
    if "unrolled" not in metadata:
        raise UnrolledError("it was not written by Unrolled, for it has no settings")
    held: dict[str, Any] = json.loads(metadata["unrolled"])
    if held["format"] != FORMAT:
        raise UnrolledError(
            f"it has format {held['format']}, this version reads {FORMAT}: "
            "a newer version of Unrolled is needed"
        )
    settings: dict[str, Any] = held["settings"]
    if cell is not None:
        settings["cell"] = cell
    elif settings["cell"] not in cell_names():
        raise UnrolledError(
            f"its cell is {settings['cell']!r}, which is not in the package: "
            "say where the cell file is, with cell=…"
        )
    made_of = {name: value for name, value in settings.items() if name not in ("dtype", "seed")}
    architecture = build_architecture(**made_of)
    check_parameters(parameters, architecture, np.dtype(settings["dtype"]))  # before making any
    net = Network(**settings)
    net.parameters = Parameters((name, parameters[name]) for name in net.architecture.parameters)
    return net
