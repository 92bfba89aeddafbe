"""Which sizes the arguments of a constructor are, by the shapes of the weights that it makes with them."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from unrolled.checking.calling.closures import made_by
from unrolled.checking.calling.held import by_shape, inside
from unrolled.checking.calling.layouts import parts
from unrolled.checking.names import is_parameter, meanings
from unrolled.checking.running.surroundings import restored
from unrolled.notation import entry as entry_of

_SIZES = ("n_x", "n_a", "n_y")


def sizes_by_use(
    unknown: Sequence[str], known: Mapping[str, str], make: Callable[..., Any], cell: str,
    sizes: Mapping[str, int],
) -> dict[str, str]:  # fmt: skip
    """Return which size each argument is under which most arrays have the shapes of weights, and of those
    that their names mean; {} where two ways to read them fit alike, or a size is in none of the shapes.

    `known` are the roles of the other arguments, `make` is called with all of them.
    """
    taken = {role.removeprefix("size ") for role in known.values()}
    taken |= {"n_x"} if "vocabulary" in taken else set()
    left = [size for size in _SIZES if size not in taken]
    left += ["vocabulary"] if not taken & {"n_x", "n_y", "vocabulary"} else []
    fits: list[tuple[int, dict[str, str]]] = []
    for order in itertools.permutations(left, len(unknown)):
        if "vocabulary" in order and {"n_x", "n_y"} & set(order):
            continue
        roles = {**known, **{n: f"size {size}" for n, size in zip(unknown, order, strict=True)}}
        tied = "size vocabulary" in roles.values() and "size n_y" not in roles.values()
        those = {**sizes, "vocabulary": sizes["n_x"], "n_y": sizes["n_x" if tied else "n_y"]}
        weights = list(_weights(made_with(roles, make, those), cell, those))
        used = {n for shape in weights for n in shape}
        used |= {n - those["n_a"] for n in used}  # of [a; x]
        if all(any(n > 0 and n % those[size] == 0 for n in used) for size in order):
            found = {n: roles[n] for n in unknown}
            fits.append((2 * len(weights) - tied, found))  # two sizes are one only where that tells
    best = max((count for count, _ in fits), default=0)
    first = [roles for count, roles in fits if count == best]
    return first[0] if len(first) == 1 and best > 2 else {}


def made_with(roles: Mapping[str, str], make: Callable[..., Any], sizes: Mapping[str, int]) -> Any:
    """Return what is made when each argument gets what its role says; None where that fails."""
    given = {"rate": 0.5, "unused": None, **{f"size {n}": size for n, size in sizes.items()}}
    if any(role not in (*given, "default") for role in roles.values()):
        return None
    arguments = {n: given[role] for n, role in roles.items() if role != "default"}
    with restored(), contextlib.suppress(Exception), np.errstate(all="ignore"):
        return made_by(make, arguments)
    return None


def _weights(made: Any, cell: str, sizes: Mapping[str, int]) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of the arrays that are weights, by their shapes and by their names if those say it."""
    held = inside("self", made) if hasattr(made, "__dict__") else ()
    for one in held:
        if isinstance(one.value, np.ndarray):
            shape = one.value.shape
            if any(_fits(word, shape, cell, sizes) for word in {one.key, one.word}):
                yield shape


def _fits(word: str, shape: tuple[int, ...], cell: str, sizes: Mapping[str, int]) -> bool:
    """Whether an array of this name has the shape of something that the name means, or, where it means
    nothing, of any weights.
    """
    meant = [quantity for quantity in meanings(word, cell) if is_parameter(quantity)]
    if not meant:
        return bool(by_shape(word, shape, cell, sizes)) and not meanings(word, cell)
    both = [q for q in {by_shape(word, shape, cell, sizes)} if q and q[0] == meant[0][0]]
    large = sorted(n for n in shape if n > 1)
    return any(large == sorted(_shape(q, cell, sizes)) for q in meant) or bool(
        both and {"W", "W_x", "W_h", "b"} & set(meant)
    )


def _shape(quantity: str, cell: str, sizes: Mapping[str, int]) -> list[int]:
    """Return the axes of a (pseudo-) parameter, those of size 1 left out."""
    of_one = [part for part in parts(quantity, cell) if part[2] == parts(quantity, cell)[0][2]]
    axes = [[{**sizes, "1": 1}[n] for n in entry_of(part).shape.split()] for part in of_one]
    rows = axes[0][0] * len(parts(quantity, cell)) // len(of_one)
    return [n for n in (rows, sum(columns for _, columns in axes)) if n > 1]
