"""Runs a command as a person does."""

import os
import subprocess
import sys


def unrolled(*arguments, cwd=None, **environment):
    """Run `unrolled ARGUMENTS` in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "unrolled", *arguments], capture_output=True, text=True,
        encoding="utf-8", cwd=cwd, env=os.environ | {"PYTHONUTF8": "1"} | environment, check=False,
    )  # fmt: skip
