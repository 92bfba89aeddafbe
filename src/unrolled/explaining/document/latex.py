"""The document as LaTeX, in pure ASCII; pdflatex makes a PDF of it as it is."""

import unicodedata
from functools import singledispatch

from unrolled.explaining.document import Formula, Heading, Table, Words, contents
from unrolled.explaining.explanation import Explanation

# A formula that is wider than the page is set in smaller type.
_BEGIN = r"""\documentclass[10pt]{article}
\usepackage[margin=2.2cm]{geometry}
\usepackage{amsmath,amssymb,graphicx,longtable}
\setlength{\parindent}{0pt}\setlength{\parskip}{6pt}\setcounter{secnumdepth}{0}
\emergencystretch=3em\allowdisplaybreaks\raggedbottom
\newsavebox{\fitbox}
\newcommand{\fit}[1]{\par\noindent\hspace*{1em}\sbox{\fitbox}{$\displaystyle #1$}%
\ifdim\wd\fitbox>0.94\linewidth\resizebox{0.94\linewidth}{!}{\usebox{\fitbox}}\else\usebox{\fitbox}\fi\par}
\begin{document}
"""
_LONGEST = 20  # characters of a word that cannot be divided
_LEVELS = (r"\section*{\LARGE\raggedright %s}", r"\section{%s}", r"\subsection{%s}")

_SPECIAL = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%",
    "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}",
    ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"{\ttfamily\char34}", "`": r"\textasciigrave{}",
    "'": r"'{}", "-": "-{}", "?": "?{}", "!": "!{}", ",": ",{}",
    "⟨": r"$\langle$", "⟩": r"$\rangle$", "−": "$-$", "∂": r"$\partial$", "Γ": r"$\Gamma$", "Σ": r"$\Sigma$",
    "σ": r"$\sigma$", "ω": r"$\omega$", "∘": r"$\circ$", "²": "$^2$", "ᵀ": r"$^{\mathsf T}$", "…": r"\ldots{}",
    "×": r"$\times$", "½": r"$\frac12$", "∞": r"$\infty$", "≤": r"$\leq$", "·": r"$\cdot$", "→": r"$\to$",
    "—": "---", "ß": r"\ss{}", "ø": r"\o{}", "Ø": r"\O{}", "æ": r"\ae{}", "Æ": r"\AE{}",
}  # fmt: skip
_ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"', "\u030c": "v ",
            "\u0327": "c ", "\u030a": "r ", "\u0304": "="}  # fmt: skip


def to_bytes(explanation: Explanation) -> bytes:
    """Return the file."""
    body = "\n".join(_written(element) for element in contents(explanation))
    return f"{_BEGIN}{body}\n\\end{{document}}\n".encode("ascii")


def escaped(text: str) -> str:
    """Return any text as LaTeX sets it; a character that pdflatex has no sign for by its number."""
    made: list[str] = []
    long = 0  # characters since the last one that a line may end at
    for character in unicodedata.normalize("NFD", text):
        if character in _ACCENTS and made:
            made[-1] = f"\\{_ACCENTS[character]}{{{made[-1]}}}"
        elif character in _SPECIAL:
            made.append(_SPECIAL[character])
        elif character.isascii():
            made.append(character if character.isprintable() else " ")
        else:
            made.append(f"(U+{ord(character):04X})")
        long = 0 if character == " " else long + 1
        if long == _LONGEST:
            made.append(r"\allowbreak{}")
            long = 0
    return "".join(made)


@singledispatch
def _written(element: object) -> str:
    raise TypeError(element)


@_written.register
def _(element: Heading) -> str:
    return _LEVELS[element.level] % escaped(element.text)


@_written.register
def _(element: Words) -> str:
    return f"{escaped(element.text)}\n"


@_written.register
def _(element: Formula) -> str:
    return f"\\fit{{{element.latex}}}"


@_written.register
def _(element: Table) -> str:
    rows = [" & ".join(map(_cell, row)) for row in (element.head, *element.rows)]
    columns = (
        "l" * (len(element.head) - 1) + r"p{9.5cm}"
        if len(element.head) == 3
        else "l" * len(element.head)
    )
    head, body = rows[0], " \\\\\n".join(rows[1:])
    return f"\\begin{{longtable}}{{@{{}}{columns}@{{}}}}\n{head} \\\\ \\hline\n{body}\n\\end{{longtable}}"


def _cell(cell: str | Formula) -> str:
    return f"${cell.latex}$" if isinstance(cell, Formula) else escaped(cell)
