"""Makes golden.npz: what PyTorch in float64 says of a problem for every cell and activation.

Run once, with PyTorch installed: python tests/golden/make.py. The problems come from their seeds;
what goes into them is stored too, so that a change of a seed or of an initialisation is seen.
"""

import sys
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))

from problems import cells, problem  # noqa: E402
from torch_oracle import run  # noqa: E402


def main() -> None:
    arrays = {}
    for cell, activation in cells():
        p = problem(cell, activation, seed=11)
        given = p.values() | {"y": p.Y}
        for name, value in (given | run(p)).items():
            arrays[f"{cell}/{activation}/{name}"] = value
    np.savez_compressed(HERE / "golden.npz", **arrays)


if __name__ == "__main__":
    main()
