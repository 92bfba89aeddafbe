"""What a program may change around itself, put back: NumPy's functions, the working folder, warnings."""

import builtins
import contextlib
import math
import os
import random
import signal
import sys
import time
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np

_MODULES: tuple[ModuleType, ...] = (
    np, np.linalg, np.random, np.ma, math, random, builtins, os, sys, time
)  # fmt: skip
_OURS = {(builtins, "_"), (os, "_exit")}
_NOT_THEIRS = ("last_type", "last_value", "last_traceback", "modules", "path", "argv", "stdin")


@contextlib.contextmanager
def restored() -> Iterator[list[str]]:
    """Put back, when left, what was changed within; what is yielded then says it, a phrase for each.

    To be put around each run of their code, so that what is compared with it is computed by NumPy
    as it is, and no run sees what another one left.
    """
    changed: list[str] = []
    before = [dict(vars(module)) for module in _MODULES]
    folder, limit, handlers = os.getcwd(), sys.getrecursionlimit(), _handlers()
    printing, drawn, drawn_by_numpy = (
        np.get_printoptions(),
        random.getstate(),
        np.random.get_state(),
    )
    try:
        with warnings.catch_warnings(), np.errstate():
            yield changed
    finally:
        for module, kept in zip(_MODULES, before, strict=True):
            changed += _put_back(module, kept)
        _put_back_handlers(handlers, changed)
        if _folder() != folder:
            changed.append("the working folder was changed")
            os.chdir(folder)
        sys.setrecursionlimit(limit)
        np.set_printoptions(**printing)
        random.setstate(drawn)
        np.random.set_state(drawn_by_numpy)


def _put_back(module: ModuleType, kept: dict[str, Any]) -> list[str]:
    """Give a module its functions again, and return which were others."""
    now, changed = vars(module), []
    for name, value in kept.items():
        if now.get(name, kept) is not value and (module, name) not in _OURS:
            setattr(module, name, value)
            if callable(value) and not name.startswith("_"):
                changed.append(f"{module.__name__}.{name} was replaced")
    return changed


def _handlers() -> dict[int, Any]:
    return {number: signal.getsignal(number) for number in signal.valid_signals()}


def _put_back_handlers(handlers: dict[int, Any], changed: list[str]) -> None:
    for number, handler in handlers.items():
        if signal.getsignal(number) != handler and handler is not None:
            changed.append(f"the handler of {signal.Signals(number).name} was replaced")
            signal.signal(number, handler)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None
