"""How a training goes: when it ends, how large its steps are, when it looks at held-back data."""

from dataclasses import dataclass
from typing import Any

from unrolled.errors import UnrolledError, positive_number, whole_number
from unrolled.training.optimisers import SCHEDULES


@dataclass(frozen=True)
class Plan:
    """The arguments of `train` that are numbers; see there. Raises UnrolledError for one that makes no
    sense.
    """

    steps: int | None = None
    epochs: int | None = None
    seconds: float | None = None
    schedule: str = "constant"
    warmup: int = 0
    clip_norm: float | None = 1.0
    clip_value: float | None = None
    every: int | None = None
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps is None and self.epochs is None and self.seconds is None:
            raise UnrolledError("no end is said: expected steps, epochs or seconds")
        numbers = dict.fromkeys(("steps", "epochs", "every", "patience"), 1) | {
            "warmup": 0,
            "seed": 0,
        }
        for name, lowest in numbers.items():
            if getattr(self, name) is not None:  # Python's own numbers, which do not overflow
                object.__setattr__(self, name, whole_number(name, getattr(self, name), lowest))
        for name in ("seconds", "clip_norm", "clip_value"):
            if getattr(self, name) is not None:
                positive_number(name, getattr(self, name))
        if self.schedule not in SCHEDULES:
            known = ", ".join(map(repr, SCHEDULES))
            raise UnrolledError(f"schedule is {self.schedule!r}: expected one of {known}")
        if self.schedule != "constant" and self.steps is None and self.epochs is None:
            raise UnrolledError(
                f"schedule {self.schedule!r} has to know the end: say steps or epochs too"
            )

    def last_step(self, updates: int) -> int | None:
        """Return how many steps there will be, with `updates` in an epoch, or None: time decides."""
        ends = [self.steps, None if self.epochs is None else self.epochs * updates]
        return min((end for end in ends if end is not None), default=None)

    def looks_every(self, validation: Any) -> int:
        """Return after how many steps held-back data are looked at: so seldom that it costs little."""
        return self.every or max(25, 4 * validation.updates if validation else 100)
