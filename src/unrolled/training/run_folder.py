"""The run folder: everything one training run leaves behind, in files that other tools read."""

import csv
import io
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from unrolled.errors import UnrolledError
from unrolled.files import write_bytes, write_text
from unrolled.model_file import save
from unrolled.network import Network
from unrolled.training.loop import Metrics


class RunFolder:
    """A folder that was empty, or was not there. Raises UnrolledError where it cannot be made."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        try:
            if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
                raise UnrolledError(f"{self.path} is there already: name another folder with --out")
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UnrolledError(
                f"the folder {self.path} cannot be made: {error.strerror or error}"
            ) from None

    @classmethod
    def named_by_time(cls, name: str) -> "RunFolder":
        """Make runs/NAME-DATE-TIME, with a number behind it where two start in one second."""
        base = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
        path, number = base, 2
        while path.exists():
            path, number = base.with_name(f"{base.name}-{number}"), number + 1
        return cls(path)

    def write_model(self, net: Network) -> None:
        """Write model.safetensors."""
        save(net, self.path / "model.safetensors")

    def write_json(self, name: str, content: Any) -> None:
        """Write a file of JSON."""
        write_text(self.path / name, json.dumps(content, indent=1, ensure_ascii=False) + "\n")

    def write_samples(self, sections: dict[str, list[str]]) -> None:
        """Write samples.txt: a heading, and a sample a line, for each section."""
        blocks = ["\n".join([f"# {title}", *samples]) for title, samples in sections.items()]
        write_text(self.path / "samples.txt", "\n\n".join(blocks) + "\n")

    def write_metrics(self, metrics: Sequence[Metrics]) -> None:
        """Write metrics.csv, a row an update."""
        text = io.StringIO()
        names = [field.name for field in fields(Metrics)]
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in metrics)
        write_text(self.path / "metrics.csv", text.getvalue())

    def write_curve(self, metrics: Sequence[Metrics], chance: float, held_back: float) -> None:
        """Write loss.png: the loss of each update, its running mean, chance and held-back text."""
        from matplotlib.figure import Figure  # slow to import, and needed once

        steps, losses = [row.step for row in metrics], [row.loss for row in metrics]
        figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
        axes = figure.add_subplot()
        axes.plot(steps, losses, color="#9db8d2", linewidth=0.6, label="each update")
        axes.plot(steps, running_mean(losses), color="#1f5a94", label="running mean")
        axes.axhline(chance, color="#888888", linestyle=":", label=f"chance, {chance:.3f}")
        axes.axhline(
            held_back, color="#b4472e", linestyle="--", label=f"held back, {held_back:.3f}"
        )
        axes.set(xlabel="update", ylabel="loss per character (nats)")
        axes.legend(frameon=False)
        axes.spines[["top", "right"]].set_visible(False)
        picture = io.BytesIO()
        figure.savefig(picture, format="png")
        write_bytes(self.path / "loss.png", picture.getvalue())


def running_mean(values: Sequence[float], weight: float = 0.02) -> list[float]:
    """Return the exponential running mean, corrected for its start as Adam's means are."""
    means, mean = [], 0.0
    for k, value in enumerate(values, start=1):
        mean += weight * (value - mean)
        means.append(mean / -math.expm1(k * math.log1p(-weight)))
    return means
