"""Makes the model files of format 1, and models.json, what those networks said when they were written.

Run once, with the code of that time: `0d9264d`, before networks had layers, wrote before-layers;
`a43262e`, the last to write format 1, wrote the others. Later code writes another format, so these
files are not made anew: PYTHONPATH=…/src python tests/golden/make_models.py before-layers
"""

import json
import sys
from pathlib import Path

import numpy as np

import unrolled as un

HERE = Path(__file__).parent
NETWORKS = {
    "before-layers": {"cell": "gru", "n_x": 3, "n_a": 2, "n_y": 2, "seed": 4},
    "plain": {"cell": "rnn", "n_x": 3, "n_a": 2, "n_y": 2, "activation": "relu", "seed": 5},
    "layers": {"cell": "lstm", "n_x": 4, "n_a": 2, "n_y": 3, "output": "sigmoid",
               "loss": "squared_error", "layers": 2, "bidirectional": True, "embedding": 3,
               "dropout": 0.25, "dtype": "float32", "seed": 6},
}  # fmt: skip


def said(net: un.Network) -> list[float]:
    """What a network predicts for one sequence of three steps."""
    X = np.linspace(-1, 1, net.sizes["n_x"] * 3, dtype=net.dtype).reshape(-1, 1, 3, order="F")
    return [float(value) for value in net.forward(X)["y_hat"].ravel(order="F")]


def main(names: list[str]) -> None:
    stored = HERE / "models.json"
    held = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    for name in names:
        net = un.Network(**NETWORKS[name])
        random = np.random.default_rng(7)
        for value in net.parameters.values():
            value += (random.standard_normal(value.shape) / 4).astype(net.dtype)
        un.save(net, HERE / f"{name}.safetensors")
        held[name] = {"settings": net.settings, "y_hat": said(net)}
    stored.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
