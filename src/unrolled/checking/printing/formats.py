"""A report as data for a program, as Markdown for a forum, as JUnit's XML for a build server."""

import json
import re
from collections.abc import Iterator, Sequence
from xml.etree import ElementTree

from unrolled.checking.printing import phrases
from unrolled.checking.printing.hints import FULL, hinted
from unrolled.checking.printing.text import to_text
from unrolled.checking.report import Finding, Report

# XML 1.0 has no way to write these, not even escaped.
_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

# A program needs no more names than the pre-activations', states' and parameters': what lies between
# two of them is said as the one that is made from it. The messages keep to the quantity itself.
_IN_JSON = {
    "dy_hat": "dz_y", "da_y": "da", "df": "dz_f", "di": "dz_i", "do": "dz_o", "dc_tilde": "dz_c",
    "du": "dz_u", "dr": "dz_r", "da_reset": "dz_r", "dtanh_c": "dc", "tanh_c": "a",
    "a_reset": "c_tilde", "z_ca": "z_c", "dz_ca": "dz_c", "db_ca": "db_c",
}  # fmt: skip


def to_json(reports: Sequence[Report], hints: int = FULL) -> str:
    """Return one report as JSON, or several as a list."""
    found = [hinted(report, hints).to_dict() for report in reports]
    for finding in (finding for report in found for finding in report["findings"]):
        finding["quantity"] = _IN_JSON.get(finding["quantity"], finding["quantity"])
    return json.dumps(found[0] if len(found) == 1 else found, indent=1)


def to_markdown(report: Report, hints: int = FULL) -> str:
    """Return the report as Markdown, with code in code blocks."""
    report = hinted(report, hints)
    blocks = [f"**{_inline(phrases.verdict(report))}**"]
    for k, finding in enumerate(phrases.of_severity(report, "mistake"), 1):
        blocks += _markdown(finding, f"{k}. ")
    for finding in phrases.of_severity(report, "advice"):
        blocks += _markdown(finding, "Advice, ")
    for heading, items in phrases.lists(report):
        blocks.append("\n".join([f"{heading}:", "", *(f"- {_inline(item)}" for item in items)]))
    return "\n\n".join(blocks) + "\n"


def _markdown(finding: Finding, number: str) -> Iterator[str]:
    yield f"### {number}{_inline(phrases.title(finding))}"
    if finding.source.strip():
        source, mark = phrases.marked(finding, 200)
        fence = "`" * max(3, _longest_run(source) + 1)
        yield "\n".join(
            [f"{fence}python", source, *([f"# {mark[2:]}"] if len(mark) > 2 else []), fence]
        )
    told = [
        f"- {label}: {_inline(' '.join(words.split()))}" for label, words in phrases.rows(finding)
    ]
    if told:
        yield "\n".join(told)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _inline(text: str) -> str:
    """Return a text with what Markdown would take for its own marked as meant."""
    return re.sub(r"([\\`*_<>\[\]|#])", r"\\\1", text)


def to_junit(reports: Sequence[Report], hints: int = FULL) -> str:
    """Return the reports as JUnit's XML: a suite a file, with a case for the file as a whole and one
    for each finding; advice does not fail.
    """
    root = ElementTree.Element("testsuites", name="unrolled check")
    for report in reports:
        _suite(root, hinted(report, hints))
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def _suite(root: ElementTree.Element, report: Report) -> None:
    mistakes = phrases.of_severity(report, "mistake")
    stopped = report.verdict == "could-not-run"
    failed = report.verdict == "wrong"
    counts = {
        "tests": 1 + len(report.findings),
        "failures": len(mistakes) + failed,
        "errors": int(stopped),
    }
    suite = ElementTree.SubElement(root, "testsuite", _attributes(
        name=report.file, time=f"{report.seconds:.3f}", **{k: str(n) for k, n in counts.items()}
    ))  # fmt: skip
    whole = _case(suite, report, "the whole file")
    if failed or stopped:
        element = ElementTree.SubElement(
            whole, "error" if stopped else "failure", _attributes(message=phrases.verdict(report))
        )
        element.text = _xml(to_text(report))
    for finding in report.findings:
        _finding(suite, report, finding)


def _finding(suite: ElementTree.Element, report: Report, finding: Finding) -> None:
    case = _case(suite, report, f"{finding.severity}, {phrases.title(finding)}")
    said = [f"{label}: {words}" for label, words in phrases.rows(finding)]
    text = "\n".join([phrases.place(finding), finding.source.strip(), *said])
    if finding.severity == "advice":
        ElementTree.SubElement(case, "system-out").text = _xml(text)
        return
    message = finding.message or finding.cause.message or phrases.title(finding)
    failure = ElementTree.SubElement(case, "failure", _attributes(message=message))
    failure.text = _xml(text)


def _case(suite: ElementTree.Element, report: Report, name: str) -> ElementTree.Element:
    return ElementTree.SubElement(suite, "testcase", _attributes(classname=report.file, name=name))


def _attributes(**said: str) -> dict[str, str]:
    return {name: _xml(value) for name, value in said.items()}


def _xml(text: str) -> str:
    return _NOT_IN_XML.sub(lambda match: repr(match[0])[1:-1], text)
