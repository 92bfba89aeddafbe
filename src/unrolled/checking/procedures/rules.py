"""Update rules with a memory (momentum, Adagrad, RMSprop, Adam), right and gone wrong, for a replay of steps.

The library's own optimisers move flat arrays in place; here every part of a step has to be seen and edited.
"""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

Array = Any
Parts = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Rule:
    """A step of an update in the learning rate's units, from one or two running means.

    `first` is "" for the gradient itself, "mean" for β₁m + (1 − β₁)g or "sum" for β₁m + g; `second` is
    "" for none, "mean" or "sum" of the squares, "now" for the last square alone. What follows is
    right as it stands; an edit of it is a mistake, named by `id` and `message`.
    """

    first: str = ""
    second: str = ""
    nesterov: bool = False
    corrected: bool = False
    inside: bool = False  # ε under the root
    id: str = ""
    message: str = ""
    squared: bool = True
    root: bool = True
    divides: bool = True
    kept: bool = True
    late: bool = False  # the step is taken with what was kept before it
    powers: tuple[bool, bool] = (True, True)  # β₁, β₂ to the power t, not times t
    corrections: tuple[int, int] = (0, 1)  # which β corrects which mean, 2 for none
    count: str = "updates"  # what t counts
    share: bool = True  # 1 − β₂ with the squares, not 1 − β₁

    def steps(
        self, gradients: Sequence[Array], betas: tuple[float, float], eps: float, start: int = 1,
        stride: int = 1,
    ) -> Iterator[Parts]:  # fmt: skip
        """Yield the parts of each step in the order in which they come about; the last is the step.

        t is `start` at the first step, and rises by `stride`.
        """
        b1, b2 = betas
        m = v = np.zeros_like(gradients[0])
        for k, g in enumerate(gradients):
            t = (
                start + k * stride
                if self.count == "updates"
                else {"none": 1, "from_zero": k}[self.count]
            )
            old = (m, v)
            m = {"": g, "mean": b1 * m + (1 - b1) * g, "sum": b1 * m + g}[self.first]
            square = g * g if self.squared else g
            mean = b2 * v + (1 - (b2 if self.share else b1)) * square
            v = {"": v, "sum": v + square, "mean": mean, "now": square}[self.second]
            parts: Parts = {"m": m, "v": v}
            used, held = old if self.late else (m, v)
            if self.nesterov:
                used = b1 * m + ((1 - b1) * g if self.first == "mean" else g)
            if self.corrected:
                both = [
                    1 - b**t if power else 1 - b * t
                    for b, power in zip((b1, b2), self.powers, strict=True)
                ]
                c1, c2 = ([*both, 1.0][k] for k in self.corrections)
                used, held = np.divide(used, c1), np.divide(held, c2)
                parts |= {"m_hat": used, "v_hat": held}
            if self.second:
                scale = self._scale(held, eps)
                used = used / scale if self.divides else used * scale
            yield {**parts, "step": used}
            if not self.kept:
                m = v = np.zeros_like(g)

    def _scale(self, held: Array, eps: float) -> Array:
        if not self.root:
            return held + eps
        return np.sqrt(held + eps) if self.inside else np.sqrt(held) + eps

    def label(self) -> str:
        """Return what the rule is called."""
        if self.second:
            with_mean = "Adam" if self.first else "RMSprop"
            return "Adagrad" if self.second == "sum" else with_mean
        return "momentum" if self.first else "gradient descent"


def right_rules() -> list[Rule]:
    """Return the rules that are in use, the plain ones first."""
    found = [Rule(), Rule(second="now"), Rule(second="now", inside=True)]
    for first, nesterov in (("sum", False), ("mean", False), ("sum", True), ("mean", True)):
        found.append(Rule(first=first, nesterov=nesterov))
    for second, first, inside in itertools.product(
        ("sum", "mean"), ("", "mean", "sum"), (False, True)
    ):
        found.append(Rule(first=first, second=second, inside=inside))
    for first, nesterov, inside in (
        ("mean", False, False),
        ("mean", False, True),
        ("mean", True, False),
        ("", False, False),
    ):
        found.append(Rule(first, "mean", nesterov, True, inside))
    found.append(Rule("mean", "", False, True))
    return found


def wrong_rules() -> list[tuple[Rule, Rule]]:
    """Return rules gone wrong, each with what it should be."""
    found = []
    for rule in right_rules():
        squares = {
            "no_root": ("divides by the mean of the squares itself, its square root is missing", {"root": False}),
            "not_squared": ("keeps the gradients in place of their squares", {"squared": False}),
            "times_root": ("multiplies by the root of the squares, it should divide", {"divides": False}),
            "not_kept": ("forgets what it keeps: each step begins again from zero", {"kept": False}),
            "late": ("takes the step with what was kept before this gradient came", {"late": True}),
            "other_share": ("takes 1 − β₁ of the squares, with β₂ of what was kept", {"share": False}),
        }  # fmt: skip
        corrections = {
            "no_power": ("corrects by 1 − β·t, not by 1 − β to the power t", {"powers": (False, False)}),
            "no_power_1": ("corrects by 1 − β₁·t, not by 1 − β₁ to the power t", {"powers": (False, True)}),
            "no_power_2": ("corrects by 1 − β₂·t, not by 1 − β₂ to the power t", {"powers": (True, False)}),
            "exchanged": ("corrects each mean with the other's β", {"corrections": (1, 0)}),
            "both_by_first": ("corrects the mean of the squares with β₁, its own is β₂", {"corrections": (0, 0)}),
            "both_by_second": ("corrects the mean of the gradients with β₂, its own is β₁", {"corrections": (1, 1)}),
            "first_alone": ("corrects the mean of the gradients and not that of the squares", {"corrections": (0, 2)}),
            "second_alone": ("corrects the mean of the squares and not that of the gradients", {"corrections": (2, 1)}),
            "not_counted": ("corrects by t = 1 at every step: t does not rise with the updates", {"count": "none"}),
            "counted_from_zero": ("corrects by t = 0 at the first step and divides by zero: t counts from 1", {"count": "from_zero"}),
        }  # fmt: skip
        if (rule.first, rule.second) != ("mean", "mean"):
            del squares["other_share"]
        edits = {
            **(squares if rule.second and rule.second != "now" else {}),
            **({"late": squares["late"]} if rule.first and not rule.nesterov else {}),
            **(corrections if rule.corrected else {}),
        }
        needs = {
            "no_power_1": rule.first,
            "no_power_2": rule.second,
            "not_counted": rule.second,  # without: m / (1 − β) is the sum that momentum keeps
            **dict.fromkeys(
                ("exchanged", "both_by_first", "both_by_second", "first_alone", "second_alone"),
                rule.first and rule.second,
            ),
        }
        edits = {id: edit for id, edit in edits.items() if needs.get(id, True)}
        for id, (words, edit) in edits.items():
            message = f"{rule.label()} {words}"
            found.append((dataclasses.replace(rule, id=id, message=message, **edit), rule))  # type: ignore[arg-type]
    return found
