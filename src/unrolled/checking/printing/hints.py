"""How much of a finding is told: for a teacher whose students are to find the rest themselves."""

import dataclasses
from typing import Any

from unrolled.checking.report import Cause, Finding, Report

FULL = 3
# What is first told at each level; 0 tells where.
_FROM: dict[int, dict[str, Any]] = {
    1: {"quantity": "", "name": "", "t": None},
    2: {"equation": "", "expected_shape": ""},
    3: {"shape": None, "worst": None, "cause": Cause(), "message": ""},
}


def hinted(report: Report, hints: int = FULL) -> Report:
    """Return the report with 0: where only; 1: and what, and at which step; 2: and by which equation;
    3: and all the rest, the numbers and the cause. What is not told is empty.
    """
    findings = tuple(_hinted(finding, hints) for finding in report.findings)
    return dataclasses.replace(report, findings=findings)


def _hinted(finding: Finding, hints: int) -> Finding:
    empty = {
        name: value
        for level, kept in _FROM.items()
        if level > hints
        for name, value in kept.items()
    }
    return dataclasses.replace(finding, **empty)
