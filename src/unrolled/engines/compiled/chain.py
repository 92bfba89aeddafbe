"""All kernels of a call one after the other, without what Python does between them.

Where each stage hands what it leaves to the next one as it is, a call that follows one of the same sizes
has its kernels, their buffers and their addresses already: only inputs, targets and states are new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from unrolled.one_hot import OneHot

if TYPE_CHECKING:
    from unrolled.engines.compiled.run import Run

Array = Any
Found = tuple[Any, dict[str, Array], dict[str, Array]]


@dataclass
class _Link:
    """A stage in one direction: its run, what is new for it in each call, its parameters' full names."""

    key: str
    direction: str
    run: "Run"
    prefix: str
    given: list[str]
    parameters: dict[str, str]
    states: dict[str, str]


class Chain:
    """The runs that `memory` holds for the stages `keys`, forward and, where there are, back again.

    `prefixes` begins the names of each stage's parameters and states; `given` are the names of what comes
    from outside, to stages of these keys.
    """

    def __init__(self, links: list[_Link]):
        self.links = links
        self.alike: list[
            list[Run]
        ] = []  # those that run one after the other without a word from Python
        for link in links:
            last = self.alike[-1][-1] if self.alike else None
            if (
                last
                and last.shards == link.run.shards
                and len(last.stops) == len(link.run.stops) == 1
            ):
                self.alike[-1].append(link.run)
            else:
                self.alike.append([link.run])

    @classmethod
    def made(
        cls, keys: Sequence[str], prefixes: Mapping[str, str], given: Mapping[str, Sequence[str]],
        memory: Mapping[str, Mapping[str, Any]], back: bool,
    ) -> "Chain | None":  # fmt: skip
        """Return the chain, or None where a stage has no kernel."""
        order = [("compiled forward", key) for key in keys]
        order += [("compiled backward", key) for key in keys[::-1]] if back else []
        if not all(direction in memory.get(key, ()) for direction, key in order):
            return None
        return cls([
            _link(key, direction, prefixes[key], given.get(key, ()), memory[key][direction])
            for direction, key in order
        ])  # fmt: skip

    def fits(self, memory: Mapping[str, Mapping[str, Any]], given: Mapping[str, Array]) -> bool:
        """Whether memory still holds these runs, and what is given has their sizes and kinds."""
        for link in self.links:
            run = link.run
            if memory[link.key].get(link.direction) is not run or not run.all_run:
                return False
            for name in link.given:
                array = given[name]
                one_hot = type(array) is OneHot
                if one_hot != (name in run.program.labels) or array.shape != run.shapes[name]:
                    return False
        return True

    def run(
        self,
        parameters: Mapping[str, Array],
        given: Mapping[str, Array],
        state: Mapping[str, Array],
    ) -> Found:
        """Run it all; return the loss, the final state, and the gradients of all parameters."""
        loss: Any = 0.0
        ends: dict[str, Array] = {}
        gradients: dict[str, Array] = {}
        for link in self.links:
            self._prepare(link, parameters, given, state)
        for first, *following in self.alike:
            first.go(following)
        for link in self.links:
            run, totals = link.run, link.run.totals
            if link.direction == "compiled forward":
                ends |= {f"{link.prefix}{s}": end for s, end in run.ends().items()}
                loss = totals["loss"][0, 0] if "loss" in totals else loss
            else:
                gradients |= {f"{link.prefix}{name[1:]}": total for name, total in totals.items()}
        return loss, ends, gradients

    def _prepare(
        self, link: _Link, parameters: Mapping[str, Array], given: Mapping[str, Array],
        state: Mapping[str, Array],
    ) -> None:  # fmt: skip
        seen, own = link.run.given, None
        if any(seen.get(name) is not parameters[full] for name, full in link.parameters.items()):
            own = {name: parameters[full] for name, full in link.parameters.items()}
        new = {name: given[name] for name in link.given if seen.get(name) is not given[name]}
        forward = link.direction == "compiled forward"
        start = {s: state[full] if forward else None for s, full in link.states.items()}
        link.run.prepare(own, new, start)


def _link(key: str, direction: str, prefix: str, given: Sequence[str], run: "Run") -> _Link:
    forward = direction == "compiled forward"
    parameters = {name: f"{prefix}{name}" for name in run.program.weights}
    states = {
        s: f"{prefix}{s}" if forward else s for s in run.program.schedule.carried.values()
    }  # fmt: skip
    return _Link(
        key,
        direction,
        run,
        prefix,
        [n for n in given if n in run.program.given],
        parameters,
        states,
    )
