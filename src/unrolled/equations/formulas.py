"""Entries as formulas: of a spreadsheet, where each number is a cell, or of a programming language."""

from collections.abc import Callable, Mapping

from unrolled.equations.entries import OVER, Index, Scalar

Place = Callable[[Scalar], str]  # what stands for an entry whose indices are numbers

# Everything that is no function is in brackets, for −a^2 is not the same everywhere. log(1 + x) is
# 2 artanh(x / (2 + x)), which keeps the digits of an x that 1 + x would lose.
SPREADSHEET = {
    "add": "(%s+%s)", "subtract": "(%s-%s)", "multiply": "%s*%s", "divide": "(%s/(%s))",
    "negative": "(-%s)", "square": "((%s)^2)", "exp": "EXP(%s)", "log": "LN(%s)",
    "log1p": "2*ATANH(%s/(2+%s))", "tanh": "TANH(%s)", "where": "IF(%s,%s,%s)", "less": "%s<%s",
    "at_most": "%s<=%s", "sum": "(%s)", "largest": "MAX(%s)",
}  # fmt: skip

_MOST = 250  # operands of MAX in a spreadsheet

PYTHON = {
    **SPREADSHEET, "square": "((%s)**2)", "exp": "exp(%s)", "log": "log(%s)", "log1p": "log1p(%s)",
    "tanh": "tanh(%s)", "where": "(%s and [%s] or [%s])[0]", "less": "(%s<%s)", "at_most": "(%s<=%s)",
    "largest": "max(%s)",
}  # fmt: skip


def formula(
    scalar: Scalar, place: Place, sizes: Mapping[str, int],
    style: Mapping[str, str] = SPREADSHEET, where: Mapping[Index, Index] | None = None,
) -> str:  # fmt: skip
    """Return a number as a formula, without a sign of equality.

    Its indices are numbers already, or `where` says which, but for those of its sums, which are written
    out; `place` says what stands for an entry.
    """

    def told(node: Scalar, where: Mapping[Index, Index]) -> str:
        if node.operation == "entry":
            return place(node.placed(where))
        if node.operation == "number":
            return repr(node.value).removesuffix(".0")
        if node.operation == "call":
            return told(node.operands[-1], where)
        text = style[node.operation]
        if node.operation in OVER:
            (of,) = node.operands
            terms = [told(of, {**where, node.name: k}) for k in range(sizes[str(node.axis)])]
            return _joined(terms, text, "+" if node.operation == "sum" else ",")
        operands = tuple(told(operand, where) for operand in node.operands)
        return text % (operands * (text.count("%s") // len(operands)))

    return told(scalar, where or {})


def _joined(terms: list[str], text: str, sign: str) -> str:
    """Return a sum or the largest of terms, in groups where there are more than a function takes."""
    while len(terms) > 1:
        groups = [terms[k : k + _MOST] for k in range(0, len(terms), _MOST)]
        terms = [text % sign.join(group) if len(group) > 1 else group[0] for group in groups]
    return terms[0]
