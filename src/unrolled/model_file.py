"""Model files: the parameters as safetensors, with the settings inside. Nothing is unpickled."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from unrolled.errors import UnrolledError
from unrolled.files import write_bytes
from unrolled.inputs import check_parameters
from unrolled.network import Network

FORMAT = 1


def save(net: Network, path: str | Path) -> None:
    """Write a network to `path`. Raises UnrolledError where it cannot be written."""
    tensors = {name: np.ascontiguousarray(value) for name, value in net.parameters.items()}
    # one entry, because the order of several is not the same from run to run
    metadata = {"unrolled": json.dumps({"format": FORMAT, "settings": net.settings})}
    write_bytes(Path(path), safetensors.numpy.save(tensors, metadata))


def load(path: str | Path) -> Network:
    """Return the network in the file `path`.

    Raises UnrolledError where there is none, or where the file is damaged or of another kind.
    """
    path = Path(path)
    if not path.is_file():
        raise UnrolledError(f"model file {path} is not there")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise UnrolledError(f"model file {path} cannot be read: {error}") from None
    net = _network(path, metadata)
    parameters = {name: np.asfortranarray(value) for name, value in tensors.items()}
    try:
        check_parameters(parameters, net.step, net.sizes, net.dtype)
    except UnrolledError as error:
        raise UnrolledError(f"model file {path}: {error}") from None
    net.parameters = {name: parameters[name] for name in net.step.parameters}
    return net


def _network(path: Path, metadata: dict[str, str]) -> Network:
    if "unrolled" not in metadata:
        raise UnrolledError(f"model file {path} was not written by Unrolled: it has no settings")
    try:
        held: dict[str, Any] = json.loads(metadata["unrolled"])
        if held["format"] != FORMAT:
            raise UnrolledError(
                f"model file {path} has format {held['format']}, "
                f"this version reads {FORMAT}: a newer version of Unrolled is needed"
            )
        return Network(**held["settings"])
    except UnrolledError:
        raise
    except (KeyError, TypeError, ValueError):
        raise UnrolledError(f"model file {path}: its settings are damaged") from None
