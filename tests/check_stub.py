"""Stands in for the examination, in the child: runs a program's `go()`, and reports what it asks for."""

import os

from unrolled.checking.report import Finding, Report
from unrolled.errors import UnrolledError


def examined(path, source=None, binding=None):
    return examine(path, source, binding), []


def examine(path, source=None, binding=None):
    folder = os.getcwd()
    namespace = {"__name__": "checked"}
    exec(compile(source, path, "exec"), namespace)
    said = namespace["go"]() if "go" in namespace else None
    if namespace.get("refuse"):
        raise UnrolledError(namespace["refuse"])
    if namespace.get("line"):
        line = namespace["line"]
        finding = Finding(
            "dz_a", "dz", 2, line=line, column=1, source=source.splitlines()[line - 1]
        )
        return Report("wrong", findings=(finding,))
    notes = (
        str(said),
        folder,
        binding.cell if binding else "",
        os.environ.get("SECRET", "none"),
    )
    return Report("right", cell="rnn", proved=notes)
