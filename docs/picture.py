"""Takes the README's picture of the page, in Chromium: run after a change that is to be seen.

Needs the package's `browser` extra and a Chromium, whose path may stand in the variable CHROMIUM.
"""

import os
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from unrolled.explaining.examples import read_example

ROOT = Path(__file__).parent
AT = "#t=3:dz_a"
POINTED = '.moment.current [data-of="3:dz_a"] mtd'


def main() -> None:
    """Write docs/images/explain.png: the plain cell on its way back, one number pointed at."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "page.html"
        read_example("sequence", "rnn").save(path)
        chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 1150})
        page.goto(f"file://{path}{AT}")
        page.locator(POINTED).nth(2).click()
        page.evaluate("window.scrollTo(0, 0)")
        page.screenshot(path=ROOT / "images/explain.png")
        browser.close()


if __name__ == "__main__":
    main()
