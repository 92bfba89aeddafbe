"""The documentation says what is true: printed parts are current, its Python runs, links lead on."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SPEC = importlib.util.spec_from_file_location("refresh", ROOT / "docs" / "refresh.py")
refresh = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(refresh)
PAGES = [*refresh.pages(), ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


def _name(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("page", refresh.pages(), ids=_name)
def test_what_is_printed_is_current(page, tmp_path, monkeypatch):
    """Runs every Python block above an output, too."""
    monkeypatch.chdir(tmp_path)
    text = page.read_text(encoding="utf-8")
    assert refresh.refreshed(text) == text, "run `make docs`"


def test_the_pages_of_the_cells_are_current():
    """Their last digits may differ from machine to machine, and nothing else."""
    digits = re.compile(r'"numbers":"[^"]*"|[−-]?\d+(\.\d+)?(e−?\d+)?')
    for path, page in refresh.explained().items():
        text = path.read_text(encoding="utf-8")
        assert digits.sub("n", text) == digits.sub("n", page), "run `make docs`"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_to_a_file(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_readme_names_commands_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rules = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = {path.stem for path in (ROOT / "src/unrolled/cli").glob("*.py")}
    assert set(re.findall(r"^make (\w+)", text, re.MULTILINE)) == {"demo", "test"} <= rules
    assert set(re.findall(r"`unrolled (\w+)", text)) <= commands
