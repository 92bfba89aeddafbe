"""The embedding, a part written as a cell is: e⟨t⟩ = W_ex x⟨t⟩.

For integer inputs the product picks a column of W_ex for each, and its gradient adds to the columns
that were picked.
"""

from unrolled.parts import Part


def _forward(x, W_ex):
    return {"e": W_ex @ x}


def _backward(de, x, W_ex):
    return {"dx": W_ex.T @ de, "dW_ex": de @ x.T}


EMBEDDING = Part(
    "embedding", "e⟨t⟩ = W_ex x⟨t⟩",
    "Bengio, Ducharme, Vincent and Jauvin 2003, Journal of Machine Learning Research 3:1137-1155",
    {"W_ex": "n_e n_x", "x": "n_x m"}, _forward, _backward,
)  # fmt: skip
