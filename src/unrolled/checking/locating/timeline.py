"""Which round of which of a person's loops is which step t, told by what was recognised in it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from unrolled.checking.recognising import Node
from unrolled.checking.running.watching import Entry, Event

_GIVEN = 1000  # what is given is at its step; what is computed may be at a wrong one
Rounds = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Fit:
    """Step t = start + sign · value, of what the loop runs over, or (`counted`) of a round's number."""

    sign: int
    start: int
    counted: bool

    def step(self, entry: Entry, k: int) -> int:
        """Return the step of round k."""
        return self.start + self.sign * (k if self.counted else entry.items[k])

    def item(self, t: int) -> int:
        """Return what the loop runs over at step t."""
        return self.sign * (t - self.start)


class Timeline:
    """The fits of all loops that run over time, by the number of the entry and by the loop's place."""

    def __init__(
        self, entries: Sequence[Entry], events: Sequence[Event], nodes: Sequence[list[Node]],
        T: int,
    ):  # fmt: skip
        self.T = T
        votes: dict[tuple[int, int], Counter[int]] = defaultdict(Counter)
        for event, found in zip(events, nodes, strict=True):
            steps = {node.t for node in found if node.kind == ""}
            if len(steps) == 1 and (t := steps.pop()) is not None:
                given = any(node.name in ("x", "y") for node in found)
                for step in event.rounds:
                    votes[step][t] += _GIVEN if given else 1
        self.fits: dict[int, Fit] = {}
        self.places: dict[int, Fit] = {}
        for number, entry in enumerate(entries):
            fit = self._fit(entry, [votes.get((number, k)) for k in range(len(entry.items))])
            if fit is not None:
                self.fits[number] = fit
                self.places.setdefault(entry.place, fit)
        self._last = {(e.place, self.turn(e.rounds, entries)): e.count for e in events}

    def is_last(self, event: Event, turn: tuple[int, ...]) -> bool:
        """Whether a loop did not come to the place of an event again, as far as it was run."""
        return event.count >= self._last.get((event.place, turn), 0)

    def _fit(self, entry: Entry, votes: list[Counter[int] | None]) -> Fit | None:
        if len(entry.items) > self.T + 1 or not any(votes):
            return None
        likely = {max(c, key=c.__getitem__) for c in votes if c}
        told = sum(bool(found) for found in votes)
        if self.T > 1 and len(likely) < 2 <= len(votes) and (told > 1 or len(votes) != self.T):
            return None  # always the same step: a loop within a step
        items = entry.items
        counted = not all(isinstance(x, int) for x in items) or len(set(items)) < len(items)
        fits, agreeing = Counter[Fit](), Counter[Fit]()
        for k, found in enumerate(votes):
            value = k if counted else items[k]
            for t, count in (found or {}).items():
                for fit in (Fit(1, t - value, counted), Fit(-1, t + value, counted)):
                    fits[fit] += count
                    agreeing[fit] += 1
        usual = Fit(1, 0, False)
        if fits[usual] >= _GIVEN and all(0 <= item < self.T for item in items):
            return usual  # what is given at its own step tells more than what is read at another
        if counted:  # as many rounds as there are steps are these, whatever is read in them
            return max(fits, key=lambda f: (self._reach(f, entry), agreeing[f], fits[f], f.sign))
        best = max(fits.values())
        alike = (fit for fit in fits if fits[fit] == best)
        likely_fit = max(alike, key=lambda fit: (self._reach(fit, entry), fit.sign))
        every = sorted(items) == list(range(self.T))  # all steps, and one of them would be none
        return usual if every and self._reach(likely_fit, entry) < self.T else likely_fit

    def _reach(self, fit: Fit, entry: Entry) -> int:
        """Return how many rounds of a loop a fit puts at a step that there is."""
        return sum(0 <= fit.step(entry, k) < self.T for k in range(len(entry.items)))

    def of(self, rounds: Rounds, entries: Sequence[Entry]) -> int | None:
        """Return the step of an event in these rounds; None outside of time."""
        for number, k in reversed(rounds):
            fit = self.fits.get(number) or self.places.get(entries[number].place)
            if fit is not None:
                t = fit.step(entries[number], k)
                return t if 0 <= t < self.T else None
        for number, k in rounds:  # nothing tells, as where the first step fails
            item = entries[number].items[k]
            if isinstance(item, int) and 0 <= item < self.T and number not in self.fits:
                return item
        return 0 if self.T == 1 else None

    def turn(self, rounds: Rounds, entries: Sequence[Entry]) -> tuple[int, ...]:
        """Return the rounds of those loops around an event that do not run over time: over gates, say."""
        if not any(entries[number].place in self.places for number, _ in rounds):
            return ()  # one of them may run over time, for all that is known
        return tuple(k for number, k in rounds if entries[number].place not in self.places)

    def missing(self, entry: Entry) -> list[int]:
        """Return the steps that a loop over time leaves out; none if it is not over time."""
        fit = self.places.get(entry.place)
        if fit is None:
            return []
        done = {fit.step(entry, k) for k in range(len(entry.items))}
        return [t for t in range(self.T) if t not in done]
