"""A run that was trained: its network, what it was for, and where its data came from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unrolled.data.windows import Source
from unrolled.errors import UnrolledError
from unrolled.model_file import load
from unrolled.network import Network
from unrolled.training.run_folder import check_cell_file, read_settings, sound_settings
from unrolled.training.tasks import Task
from unrolled.training.tasks.loading import load_data, new_data, task_of


@dataclass(frozen=True)
class Finished:
    """A network, its task, and what settings.json says."""

    net: Network
    task: Task
    settings: dict[str, Any]
    folder: Path

    def held_back(self) -> Source:
        """Return what the run held back. Raises UnrolledError where that cannot be had any more."""
        with sound_settings(self.folder):
            data = load_data(**self.settings["data"]["origin"])
            if data.training.settings != self.settings["windows"]:
                raise UnrolledError(
                    "the data of the run have changed since: name a file to evaluate on"
                )
        if data.validation is None:
            raise UnrolledError("the run held nothing back: name a file to evaluate on")
        return data.validation

    def read(self, source: str | Path) -> Source:
        """Return other data, read as those of the run were."""
        with sound_settings(self.folder):
            origin = self.settings["data"]["origin"]
            return new_data(self.task, source, length=origin["length"], columns=origin["columns"])


def read_run(folder: Path, cell: Any = None) -> Finished:
    """Return what a run folder holds.

    `cell` says where the cell file is, for a cell that is not in the package. Raises UnrolledError
    where the folder holds no run, or one that was made from arrays in Python.
    """
    settings = read_settings(folder)
    if "origin" not in settings["data"]:
        raise UnrolledError(
            f"{folder} was made from arrays in Python, and does not say what they were: expected a run "
            "on a file or a data set"
        )
    with sound_settings(folder):
        task = task_of(settings["data"])
    net = load(folder / "model.safetensors", cell)
    check_cell_file(settings, net.cell)
    if any(net.settings[name] != size for name, size in task.sizes.items()):
        raise UnrolledError(f"{folder}: the model is not that of the settings")
    return Finished(net, task, settings, folder)
