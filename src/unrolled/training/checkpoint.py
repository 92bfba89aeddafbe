"""Checkpoints: all that a training needs to go on as if it had never stopped, in one file.

Parameters, the best ones so far, what the optimiser keeps, the state carried from window to window,
and the place in the data. What is random is drawn from (seed, epoch, window) or (seed, step), so that
seed and place are the state of all random numbers. Times are not in it: the same training writes the
same bytes.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np

from unrolled import tensor_file
from unrolled.cells import cell_names
from unrolled.errors import UnrolledError, is_number, whole_number
from unrolled.inputs import check_parameters
from unrolled.training.loop import Place, Training, check_kept
from unrolled.training.optimisers import make_optimiser
from unrolled.training.tasks import texts

Array = Any


def write_checkpoint(training: Training, path: Path) -> None:
    """Write where a training is; a crash leaves the checkpoint before. Raises UnrolledError."""
    groups = {
        "parameter": training.net.parameters, "best": training.best or {},
        "optimiser": training.optimiser.kept, "state": training.state or {},
    }  # fmt: skip
    tensors = {f"{group}.{n}": value for group, held in groups.items() for n, value in held.items()}
    optimiser = training.optimiser.settings | {"steps": training.optimiser.steps}
    content = {
        "network": training.net.settings, "optimiser": optimiser, "place": asdict(training.place),
        "random": {"seed": training.plan.seed},
    }  # fmt: skip
    tensor_file.write(path, "checkpoint", content, tensors)


def read_checkpoint(training: Training, path: Path) -> None:
    """Put a training where it was. Raises UnrolledError where the file is damaged, or of another
    network or optimiser; the training is then as it was before.
    """
    content, tensors = tensor_file.read(path, "checkpoint")
    try:
        _restore(training, content, tensors)
    except UnrolledError as error:
        raise tensor_file.refusal(path, "checkpoint", f"cannot be used: {error}") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise tensor_file.refusal(path, "checkpoint", "is damaged: its content") from None


def _restore(training: Training, content: Mapping[str, Any], tensors: Mapping[str, Array]) -> None:
    net, optimiser = training.net, training.optimiser
    if known_again(content["network"]) != known_again(net.settings):
        raise UnrolledError("it is of another network: expected one with the same settings")
    if content["optimiser"]["name"] != optimiser.settings["name"]:
        name = content["optimiser"]["name"]
        raise UnrolledError(f"it is of optimiser {name!r}: expected {optimiser.settings['name']!r}")
    place = _place(content["place"])
    parameters = _group(tensors, "parameter")
    check_parameters(parameters, net.architecture, net.dtype)
    best, kept = _group(tensors, "best"), _group(tensors, "optimiser")
    if best:
        check_parameters(best, net.architecture, net.dtype)
    again = make_optimiser(**optimiser.settings)
    again.kept, again.steps = kept, whole_number("steps", content["optimiser"]["steps"], 0)
    check_kept(again, net)
    training.place, training.state = place, _group(tensors, "state") or None
    optimiser.kept, optimiser.steps = again.kept, again.steps
    training.best = best or None
    for name, value in parameters.items():
        np.copyto(net.parameters[name], value)
    training.good = deepcopy(net.parameters)


def known_again(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a network is known by: a cell file of one's own may lie elsewhere by now."""
    return {n: v for n, v in settings.items() if n != "cell" or v in cell_names()}


def _place(content: Mapping[str, Any]) -> Place:
    """Return the place that a checkpoint says. Raises ValueError and the like where it says none."""
    place = Place(**{field.name: content[field.name] for field in fields(Place)})
    for name in ("step", "epoch", "window", "best_step", "worse"):
        whole_number(name, getattr(place, name), 0)
    if place.best_loss is not None and not is_number(place.best_loss):
        raise ValueError
    written = [(sample["step"], sample["texts"]) for sample in place.samples]
    if place.samples != [{"step": int(step), "texts": [*texts(lines)]} for step, lines in written]:
        raise ValueError
    return place


def _group(tensors: Mapping[str, Array], group: str) -> dict[str, Array]:
    start = f"{group}."
    return {
        n.removeprefix(start): np.asfortranarray(value)
        for n, value in tensors.items()
        if n.startswith(start)
    }
