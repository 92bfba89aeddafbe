"""The initial state of each window: zero at the start of an epoch, then the last state of the window before."""

import ast
import re
from typing import Any

import numpy as np

from unrolled.checking.procedures.findings import Examined, exact, finding
from unrolled.checking.procedures.iterations import Iteration
from unrolled.checking.procedures.roles import called
from unrolled.checking.procedures.running import Program, Training
from unrolled.checking.procedures.tracing import Call, assignments, near, statement
from unrolled.checking.procedures.windows import examine_strides, follows, goes_on, window_ids
from unrolled.checking.report import Finding, Worst

Array = Any
_STATES = re.compile(r"(a|h)(s|_s|_?all|_?states?|_?hist(ory)?)?|(hidden_?)?states?|hiddens?", re.I)


def history(call: Call, state: Array) -> list[tuple[str, Array]]:
    """Return what looks like the states of a window, (T, …) each, those with a state's name first.

    Each has steps of the state's own shape along one axis, or as items of a list or dictionary.
    """
    found = _items(call, state)
    for path, value in call.after.items():
        if value.ndim == state.ndim + 1:
            for axis in reversed(range(value.ndim)):
                steps = np.moveaxis(value, axis, 0)
                if steps.shape[1:] == state.shape and len(steps) > 1:
                    found.append((_named(path), steps))
                    break
    found.sort(key=lambda item: not _STATES.fullmatch(item[0]))
    return found


def _named(path: tuple[str, ...]) -> str:
    words = [name for name in path if not name.isdigit() and name not in ("return", "*")]
    return words[-1] if words else "return"


def _items(call: Call, state: Array) -> list[tuple[str, Array]]:
    """Arrays of the state's shape that stand at one place of the items of a list, or are them."""
    inside: dict[tuple[str, ...], dict[int, Array]] = {}
    for path, value in call.after.items():
        for k, part in enumerate(path[1:], 1) if value.shape == state.shape else ():
            if part.lstrip("-").isdigit():
                inside.setdefault((*path[:k], "*", *path[k + 1 :]), {})[int(part)] = value
    found = [
        (_named(path), np.stack([steps[k] for k in sorted(steps)]))
        for path, steps in inside.items()
        if len(steps) > 1 and _counts_steps(path)
    ]
    return [item for item in found if not any(_follows(item[1], r) for _, r in found)]


def _counts_steps(path: tuple[str, ...]) -> bool:
    """Whether "*" stands for steps: no earlier place does, and it is not the place in a result's tuple."""
    first = path.index("*")
    earlier = (k for k, part in enumerate(path[:first]) if part.lstrip("-").isdigit())
    return path[:first] != ("return",) and all(path[:k] == ("return",) for k in earlier)


def _follows(steps: Array, other: Array) -> bool:
    """Whether these are another sequence's steps, one later: each step's state before."""
    alike = steps.shape == other.shape and len(steps) > 2
    return alike and near(steps[1:], other[:-1]) and not near(steps, other)


def examine_states(
    program: Program, training: Training, done: list[Iteration], examined: Examined
) -> None:
    """Add what is wrong with the state that windows start from, or that it is carried."""
    for name, first in (done[0].given(program, "state") if done else {}).items():
        starts = [i.given(program, "state").get(name, first) for i in done]
        judged = States(program, training, done, name, starts)
        found = judged.wrong()
        if found:
            examined.findings.append(found)
            return
        if judged.carried:
            seen = len(examined.findings)
            examine_strides(program, training, done, examined)
            known = any(f.quantity in ("X", "Y") for f in examined.findings[:seen])
            jumps = judged.jumps() if len(examined.findings) == seen and not known else None
            if jumps:
                examined.findings.append(jumps)
                return
            examined.proved.append("each window starts from the last state of the window before")
    if done and not done[0].given(program, "state"):
        examined.untestable.append("the state between windows was not tested: none is passed on")


class States:
    """One state that a training passes to its windows, and what each window left."""

    def __init__(
        self,
        program: Program,
        training: Training,
        done: list[Iteration],
        name: str,
        starts: list[Array],
    ):
        self.program, self.training, self.done = program, training, done
        self.name, self.starts = name, starts
        self.carried = False
        self.passers = [self._passer(i) for i in done]
        self.passed = self._passed()
        self.assigned = assignments(program.tree)

    def wrong(self) -> Finding | None:
        """Return the first window that starts from a wrong state."""
        for k in range(1, len(self.starts)):
            found = self._at_epoch(k) if self._begins(k) else self._in_epoch(k)
            if found:
                return found
        return None

    def jumps(self) -> Finding | None:
        """A finding where the state is carried on to windows that lie anywhere in the stream."""
        inside = [k for k in range(1, len(self.starts)) if not self._begins(k) and self._kept(k)]
        pairs = {k: (self.done[k - 1], self.done[k]) for k in inside}
        away = [
            k for k, pair in pairs.items() if follows(self.program, self.training, *pair) is False
        ]
        if len(away) < 2 or 2 * len(away) < len(inside):
            return None
        message = (
            "the last state is carried on, though the next window does not go on where this one "
            "stopped: windows in no order start from zero"
        )
        k = away[0]
        return self.stated(k, np.zeros_like(self.starts[k]), "carried_elsewhere", message)

    def _kept(self, k: int) -> bool:
        """Whether a window starts from the last state of the window before."""
        last = history(self.done[k - 1].forward, self.starts[k])
        return any(near(self.starts[k], steps[-1]) for _, steps in last)

    def _begins(self, k: int) -> bool:
        """Whether the inputs of a window are those of the very first one again."""
        first, now = (window_ids(self.program, self.done[j], "X") for j in (0, k))
        return first is not None and now is not None and near(first, now)

    def _at_epoch(self, k: int) -> Finding | None:
        if not self.carried or not np.any(self.starts[k]) or near(self.starts[k], self.starts[0]):
            return None
        last = history(self.done[k - 1].forward, self.starts[k])
        if not any(near(self.starts[k], steps[-1]) for _, steps in last):
            return None
        restart = self._restart(k)
        if restart is None:
            return None  # the stream repeats itself
        message = (
            "the state is kept across epochs: the first window of the next epoch starts from the last "
            "state of the last window, and no input came before it; it starts from zero"
        )
        return self.stated(k, self.starts[0], "kept_across_epochs", message, restart)

    def _in_epoch(self, k: int) -> Finding | None:
        start, before = self.starts[k], self.done[k - 1].forward
        direct = [v for p, v in before.after.items() if p[0] == "return" and v.shape == start.shape]
        kept = [item for item in history(before, start) if _STATES.fullmatch(item[0])]
        kept = kept or history(before, start)
        lasts = [steps[-1] for _, steps in kept]
        if any(near(start, last) for last in (lasts or direct)):
            self.carried = True
            return None
        if not lasts or not goes_on(self.program, self.done[k - 1], self.done[k]):
            return None
        if not np.any(start):
            return self._reset(k, lasts[0])
        id, message = self._instead(k, kept[0][1])
        return self.stated(k, lasts[0], id, message) if id else None

    def _reset(self, k: int, last: Array) -> Finding | None:
        streams = min(last.shape) > 1
        every = self._places() == 1 and self._times() >= len(self.starts) - 1
        if not streams and (every or self._times() < 2):
            return None  # a choice: windows that know nothing of each other
        message = (
            "every window starts from zero, though it goes on where the one before stopped: "
            "it starts from that one's last state"
        )
        return self.stated(k, last, "reset_every_window", message)

    def _instead(self, k: int, steps: Array) -> tuple[str, str]:
        """What stands for the last state: (id, message), or ("", "") where nothing gives it."""
        start, last = self.starts[k], steps[-1]
        if near(start, self.starts[k - 1]):
            return "not_carried", "the state stays that of the first window: it is never carried on"
        for t, step in enumerate(steps[:-1]):
            if near(start, step):
                words = "the first state" if t == 0 else f"the state of step {t}"
                return "not_last", f"{words} of the window before is carried on, not its last"
        if near(start, steps.mean(axis=0)) or near(start, steps[1:].mean(axis=0)):
            return "mean", "the mean of all states of the window before is carried on, not its last"
        return _of_streams(start, last) or self._moved(k, last)

    def _moved(self, k: int, last: Array) -> tuple[str, str]:
        start = self.starts[k]
        for held in (self.done[k - 1].backward.after, self.done[k - 1].forward.after):
            for path, other in held.items():
                if other.shape != last.shape or not np.any(other):
                    continue
                c = float(np.sum((last - start) * other) / np.sum(other * other))
                if c and near(last - start, c * other, 1e-6):
                    name = _named(path)
                    if name[:1] != "d" and "grad" not in name:
                        continue
                    words = f"the last state minus {c:.6g} times {name}" if c > 0 else (
                        f"the last state plus {-c:.6g} times {name}")  # fmt: skip
                    return "gradient_step", (
                        f"the carried state is {words}: a state is no parameter, gradient descent "
                        "does not move it"
                    )
        for name, other in history(self.done[k - 1].forward, start):
            if near(start, other[-1]):
                message = f"the last {name} of the window before is carried on, not its last state"
                return "other_quantity", message
        s = float(np.sum(start * last) / max(np.sum(last * last), 1e-300))
        if s and near(start, s * last):
            return "scaled", f"the carried state is {s:.6g} times the last state"
        return "", ""

    def stated(
        self, k: int, expected: Array, id: str, message: str, line: int | None = None
    ) -> Finding:
        """Return the finding on the start of a window, at the line that made it."""
        if line is None:
            line = self._place(k)
        return finding(
            self.program, "a0", self.passed, line, exact(id, message),
            worst=Worst.between(self.starts[k], expected),
        )  # fmt: skip

    def _place(self, k: int) -> int:
        """The line that gave the variable its value since the window before, or passes it on."""
        now, before = self.passers[k], self.passers[k - 1]
        place = self.training.trace.assigned(self.passed, now.start, self.assigned)
        if place is None or (place.end < before.start and k):
            return now.line
        header = statement(self.program.tree, place.line)
        for name in called(header) if header else ():
            function = self.program.function(name)
            if function and function.role not in ("windows", "init"):
                returns = [n.lineno for n in ast.walk(function.node) if isinstance(n, ast.Return)]
                return returns[-1] if returns else place.line
        return place.line

    def _passer(self, iteration: Iteration) -> Call:
        """The training's own call that hands the state over: of the forward pass, or of what calls it."""
        found = iteration.forward
        for call in reversed(self.training.trace.calls):
            inside = call.start < found.start and (call.end > found.end or call.end < 0)
            hands = any(self._is_state(n) for n in call.arguments)
            if inside and call.name == found.caller and call.name != self.training.name and hands:
                found = call
        return found

    def _is_state(self, name: str) -> bool:
        return name == self.name or self.program.role(name) == "state"

    def _passed(self) -> str:
        """The variable that the caller passes as the state."""
        forward = self.passers[0]
        header = statement(self.program.tree, forward.line)
        for node in ast.walk(header) if header else ():
            if isinstance(node, ast.Call) and _called(node) == forward.name:
                given = {k.arg: k.value for k in node.keywords if k.arg}
                names = [n for n in forward.arguments if n != "self"]
                given |= dict(zip(names, node.args, strict=False))
                value = next((given[n] for n in given if self._is_state(n)), None)
                if isinstance(value, ast.Name | ast.Attribute):
                    return value.id if isinstance(value, ast.Name) else value.attr
        return self.name

    def _times(self) -> int:
        """How often the variable was assigned."""
        lines = self.assigned.get(self.passed, set())
        return sum(line.line in lines for line in self.training.trace.lines)

    def _places(self) -> int:
        lines = self.assigned.get(self.passed, set())
        return len({line.line for line in self.training.trace.lines if line.line in lines})

    def _gap(self, k: int) -> list[int]:
        """The lines that were executed between two windows."""
        before, now = self.done[k - 1].backward.end, self.done[k].forward.start
        trains = {self.training.name, self.passers[k].caller}
        between = self.training.trace.between(before, now)
        return [line.line for line in between if line.function in trains]

    def _restart(self, k: int) -> int | None:
        """The loop that begins anew before this window and not between the two before it, or the first line."""
        usual = set(self._gap(1))
        new = [line for line in self._gap(k) if line not in usual]
        loops = {
            n.lineno for n in ast.walk(self.program.tree) if isinstance(n, ast.For | ast.While)
        }
        return next((line for line in new if line in loops), new[0] if new else None)


def _of_streams(start: Array, last: Array) -> tuple[str, str] | None:
    """The last state with its streams exchanged, or that of one of them for all."""
    for axis in range(start.ndim):
        for k in range(start.shape[axis]) if start.shape[axis] > 1 else ():
            if near(start, np.broadcast_to(np.take(last, [k], axis=axis), start.shape)):
                return "one_for_all", "the last state of one stream is carried on for all of them"
            if k and near(start, np.roll(last, k, axis)):
                return "other_stream", "each stream goes on from the state of another stream"
    return None


def _called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
