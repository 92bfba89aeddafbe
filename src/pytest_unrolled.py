"""A pytest plugin for a teacher's tests: `--unrolled-check FILE`, and the fixture `unrolled_check`.

It stands beside the package, so that pytest, which loads every plugin there is, does not import the
library where nobody asks for it.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest


class RefusedError(Exception):
    """A program is wrong, or could not be run; the message is what was found."""


class Program(pytest.File):
    """A file that was named by --unrolled-check."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield its one item."""
        yield Check.from_parent(self, name="unrolled-check")


class Check(pytest.Item):
    """Runs the check of a file, and fails with what was found."""

    def runtest(self) -> None:
        """Check the file. Raises RefusedError where it is not right."""
        import unrolled
        from unrolled.checking.printing.text import to_text

        here, path = Path.cwd(), self.path
        shown = path.relative_to(here) if path.is_relative_to(here) else path
        hints = self.config.getoption("unrolled_hints")
        try:
            report = unrolled.check(shown, hints=hints)
        except unrolled.UnrolledError as error:
            raise RefusedError(str(error)) from None
        if report.verdict != "right":
            raise RefusedError(to_text(report, hints))
        if report.findings:
            self.add_report_section("call", "advice", to_text(report, hints))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """Return what was found, without our own lines."""
        if isinstance(excinfo.value, RefusedError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return where the item is."""
        return self.path, None, f"unrolled check {self.path.name}"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("unrolled", "hand-written recurrent networks")
    group.addoption("--unrolled-check", action="append", default=[], metavar="FILE",
                    help="check a hand-written RNN, LSTM or GRU; may be given more than once")  # fmt: skip
    group.addoption("--unrolled-hints", type=int, choices=range(4), default=3,
                    help="how much is told: 0 where; 1 and what; 2 and by which equation; 3 all")  # fmt: skip


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Add an item for each file."""
    for name in config.getoption("unrolled_check"):
        program = Program.from_parent(session, path=Path(config.invocation_params.dir, name))
        items += program.collect()


@pytest.fixture(scope="session")
def unrolled_check() -> Callable[..., Any]:
    """Return the function `unrolled.check`."""
    import unrolled

    return unrolled.check
