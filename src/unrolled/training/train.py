"""`unrolled.train`: a network, data, and when to stop."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unrolled.data.windows import Source, arrays
from unrolled.errors import UnrolledError, is_number, whole_number
from unrolled.network import Network
from unrolled.threads import threads_for
from unrolled.training.loop import NotFiniteError, Training, Update
from unrolled.training.optimisers import SGD, Adam
from unrolled.training.plan import Plan
from unrolled.training.recorder import Recorder
from unrolled.training.run_folder import RunFolder
from unrolled.training.tasks import Dataset, verdict

Callback = Callable[[Update, Training], Any]


@dataclass(frozen=True)
class History:
    """What a training did.

    `updates` has a row an update, those of this call; `ended_by` is "steps", "epochs", "seconds",
    "patience" or "asked"; `best_step` and `best_loss` are those of the parameters that were kept, None
    without held-back data. Where the data say what they are for, `measures` has what the network
    reaches on what was held back, and `verdict` a sentence for each reference.
    """

    updates: list[Update]
    ended_by: str
    best_step: int | None
    best_loss: float | None
    measures: dict[str, float]
    verdict: list[str]


def train(
    net: Network, data: Any, *, validation: Any = None, optimiser: SGD | Adam | None = None,
    steps: int | None = None, epochs: int | None = None, seconds: float | None = None,
    schedule: str = "constant", warmup: int = 0, clip_norm: float | None = 1.0,
    clip_value: float | None = None, every: int | None = None, patience: int | None = None,
    seed: int = 0, batch: int = 32, callbacks: Sequence[Callback] = (),
    out: "str | Path | RunFolder | None" = None, resume: bool = False, save_every: float = 5.0,
    threads: int | None = None,
) -> History:  # fmt: skip
    """Train a network, whose parameters are changed in place.

    Args:
        data: what `load_data` returns; or a source of windows; or arrays (X, Y) or (X, Y, lengths)
            as `Network.loss_and_gradients` takes them, of which `batch` sequences make an update.
        validation: held-back data, likewise; None: those of what `load_data` returned, if any.
        optimiser: SGD or Adam; None is Adam().
        steps, epochs, seconds: when it ends, at the first of those said. At least one is.
        schedule: of the learning rate: "constant", or "linear" or "cosine" down to 0 at the end.
        warmup: over how many steps the learning rate rises first.
        clip_norm: the largest common norm of the gradients; None clips nothing.
        clip_value: the largest absolute entry of a gradient, after that.
        every: after how many steps the held-back data are looked at; None: at least 25, and so
            seldom that it costs little. They are looked at in the end, too.
        patience: end where they were looked at so often without a lower loss.
        seed: of the order of the data, and of dropout.
        callbacks: each is called after every update with it and the Training (its `net`, `place`,
            `best`); where one returns True, the training ends.
        out: a folder for model, checkpoints, metrics, loss curve, samples and report, new or empty.
        resume: go on with the run in `out`, which was made with the same network, data and seed: the
            result is, byte for byte, that of a training that was never interrupted.
        save_every: seconds between checkpoints.
        threads: of NumPy's products; None: one below 256 hidden units, else as they are set.

    Where there are held-back data, the network ends with the parameters that had the lowest loss on
    them, else with the last ones. Ctrl-C finishes the update, saves, and raises KeyboardInterrupt with
    where it is saved; the network then has the last parameters.

    Returns a History. Raises UnrolledError for bad input, and where the loss is no finite number any
    more; the network is then that of the last finite loss, or the best on held-back data.
    """
    plan = Plan(
        steps, epochs, seconds, schedule, warmup, clip_norm, clip_value, every, patience, seed
    )
    dataset = data if isinstance(data, Dataset) else None
    source = dataset.training if dataset else _source(data, batch, seed)
    held_back = dataset.validation if dataset and validation is None else validation
    held_back = None if held_back is None else _source(held_back, 4 * batch, None)
    optimiser = Adam() if optimiser is None else optimiser
    if not isinstance(optimiser, SGD | Adam):
        raise UnrolledError(f"optimiser is {optimiser!r}: expected SGD(…) or Adam(…)")
    if not all(map(callable, callbacks)):
        raise UnrolledError(
            "callbacks has what cannot be called: expected functions of an update and a Training"
        )
    if not is_number(save_every) or not save_every >= 0:
        raise UnrolledError(f"save_every is {save_every!r}: expected seconds from 0")
    if threads is not None:
        whole_number("threads", threads, 1)
    write = dataset.task.write if dataset else None
    training = Training(net, source, optimiser, plan, held_back, write)
    if out is None:
        if resume:
            raise UnrolledError(
                "resume goes with out: expected the folder of the run to go on with"
            )
        with threads_for(net.sizes["n_a"], threads):
            return _run(training, dataset, callbacks, None)
    with out if isinstance(out, RunFolder) else RunFolder(out, resume) as folder, threads_for(
        net.sizes["n_a"], threads
    ):  # fmt: skip
        recorder = Recorder(folder, training, dataset, save_every)
        recorder.begin(resume)
        return _run(training, dataset, callbacks, recorder)


def _source(data: Any, m: int, seed: int | None) -> Source:
    if all(hasattr(data, name) for name in ("windows", "updates", "cut", "settings")):
        return data  # type: ignore[no-any-return]
    if isinstance(data, tuple) and len(data) in (2, 3):
        X, Y, *lengths = data
        return arrays(X, Y, lengths[0] if lengths else None, whole_number("batch", m, 1), seed)
    raise UnrolledError(
        f"data is {type(data).__name__}: expected what load_data returns, a source of windows, or a "
        "tuple (X, Y) or (X, Y, lengths)"
    )


def _run(
    training: Training, dataset: Dataset | None, callbacks: Sequence[Callback],
    recorder: Recorder | None,
) -> History:  # fmt: skip
    updates = []
    with _stop_asked() as stop:
        try:
            for update in training.updates():
                updates.append(update)
                if recorder:
                    recorder.note(update)
                asked = _call(callbacks, update, training, recorder)
                if any(asked):
                    training.ended_by = "asked"
                if stop or training.ended_by == "asked":
                    break
        except NotFiniteError as error:
            raise UnrolledError(f"{error}{_kept(training, recorder)}") from None
        if stop and not training.ended_by:
            where = recorder.interrupted() if recorder else ""
            raise KeyboardInterrupt(f"stopped after step {training.place.step}{where}")
        if recorder:
            recorder.save()
    _take_best(training)
    history = _history(training, dataset, updates)
    if recorder:
        recorder.finish(history.measures, history.verdict, history.ended_by)
    return history


def _call(
    callbacks: Sequence[Callback], update: Update, training: Training, recorder: Recorder | None
) -> list[Any]:
    """Call each callback; save where one fails, as when nobody reads any more what it prints."""
    try:
        return [callback(update, training) for callback in callbacks]
    except BaseException:
        if recorder:
            recorder.save()
        raise


def _history(training: Training, dataset: Dataset | None, updates: list[Update]) -> History:
    place, held_back = training.place, training.validation
    measures: dict[str, float] = {}
    if dataset and held_back is not None:
        measures = dataset.task.measures(training.net, held_back)
    said = verdict(dataset.task, measures, dataset.references) if dataset and measures else []
    best_step = place.best_step if training.best else None
    return History(updates, training.ended_by, best_step, place.best_loss, measures, said)


def _take_best(training: Training) -> None:
    """Give the network the parameters that were best on held-back data, if there were any."""
    for name, value in (training.best or {}).items():
        np.copyto(training.net.parameters[name], value)


def _kept(training: Training, recorder: Recorder | None) -> str:
    """Keep the last good network where the loss is no number any more; say which it is."""
    _take_best(training)
    which = f"of step {training.place.best_step}" if training.best else "with the last finite loss"
    return recorder.broken(which) if recorder else f"; the network is now the one {which}"


@contextlib.contextmanager
def _stop_asked() -> Iterator[list[bool]]:
    """Give a list that fills at Ctrl-C, or where the system asks a process to end; it may be hit twice,
    the third time interrupts as usual.
    """
    asked: list[bool] = []
    usual: dict[Any, Any] = {}
    if threading.current_thread() is threading.main_thread():
        usual = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
    # None was set by other than Python, which cannot put it back
    usual = {s: handler for s, handler in usual.items() if handler not in (None, signal.SIG_IGN)}

    def ask(*_: Any) -> None:
        asked.append(True)
        if len(asked) > 1:
            restore()

    def restore() -> None:
        for number, handler in usual.items():
            signal.signal(number, handler)

    for number in usual:
        signal.signal(number, ask)
    try:
        yield asked
    finally:
        restore()
