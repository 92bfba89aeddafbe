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
        falling = set[int]()  # loops in which there are gradients
        for event, found in zip(events, nodes, strict=True):
            falling |= {n for n, _ in event.rounds if any(node.name[:1] == "d" for node in found)}
            steps = {node.t for node in found if node.kind == ""}
            if len(steps) == 1 and (t := steps.pop()) is not None:
                given = any(node.name in ("x", "y") for node in found)
                for step in event.rounds:
                    votes[step][t] += _GIVEN if given else 1
        self.fits: dict[int, Fit] = {}
        self.places: dict[int, Fit] = {}
        for number, entry in enumerate(entries):
            told = [votes.get((number, k)) for k in range(len(entry.items))]
            fit = self._fit(entry, told, -1 if number in falling else 1)
            if fit is not None:
                self.fits[number] = fit
                self.places.setdefault(entry.place, fit)
        self._apart = self._several(events)
        self._last = {(e.place, self.turn(e, entries)): e.count for e in events}
        self._between = self._outside_in_the_middle(events)

    def is_last(self, event: Event, turn: tuple[int, ...]) -> bool:
        """Whether a loop did not come to the place of an event again, as far as it was run."""
        return event.count >= self._last.get((event.place, turn), 0)

    def _fit(self, entry: Entry, votes: list[Counter[int] | None], sign: int) -> Fit | None:
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
            return max(
                fits, key=lambda f: (self._reach(f, entry), agreeing[f], fits[f], f.sign * sign)
            )
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

    def _several(self, events: Sequence[Event]) -> set[int]:
        """Return the places in methods of several objects, layers that have other weights: in the same round,
        or also outside of time. An object for each step is another step.
        """
        seen: dict[int, dict[Rounds, set[int]]] = defaultdict(lambda: defaultdict(set))
        for event in events:
            if event.holder:
                seen[event.place][event.rounds].add(event.holder)
        found = {place for place, at in seen.items() if any(len(held) > 1 for held in at.values())}
        for place, at in seen.items():
            inside = [held for rounds, held in at.items() if rounds]
            again = sum(map(len, inside)) > len(set().union(*inside))
            if again and at.get((), set()) - set().union(*inside):
                found.add(place)
        return found

    def _outside_in_the_middle(self, events: Sequence[Event]) -> set[tuple[int, int]]:
        """Return what is seen after the first loop over time and before the last one."""
        timed = [any(number in self.fits for number, _ in event.rounds) for event in events]
        if not any(timed):
            return set()
        first, last = timed.index(True), len(timed) - timed[::-1].index(True)
        middle = zip(events[first:last], timed[first:last], strict=True)
        return {(event.place, event.count) for event, inside in middle if not inside}

    def is_between(self, event: Event) -> bool:
        """Whether an event is after the forward loop and before that backward, where the last step's are."""
        return (event.place, event.count) in self._between

    def turn(self, event: Event, entries: Sequence[Entry]) -> tuple[int, ...]:
        """Return in which rounds of those loops that do not run over time an event is, and of which object
        it is, where there are several.
        """
        of = (-event.holder,) if event.place in self._apart else ()
        return (*self._turns(event.rounds, entries), *of)

    def _turns(self, rounds: Rounds, entries: Sequence[Entry]) -> tuple[int, ...]:
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
