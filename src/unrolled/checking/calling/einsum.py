"""What `np.einsum("ntd,hd->nth", x, Wx)` says: which axis of each operand is which, and the product it is."""

import ast
from dataclasses import dataclass

from unrolled.checking.running.program import called_name


@dataclass(frozen=True)
class Summed:
    """An einsum of one or two operands: the letters of each, and those of the result."""

    letters: tuple[str, ...]
    result: str
    operands: tuple[ast.expr, ...]

    @property
    def as_product(self) -> tuple[ast.expr, ast.expr] | None:
        """The matrix product `first @ second` that it is for one step, with .T where the letters say so;
        None where there is none. Over the axes that only operands have is summed.
        """
        if len(self.operands) != 2:
            return None
        own = [self._own(0), self._own(1)]
        if not all(own) or not self._summed():
            return None
        at = [self.result.index(letters[-1]) for letters in own]
        first, second = (0, 1) if at[0] < at[1] else (1, 0)
        return self._turned(first, last=True), self._turned(second, last=False)

    def _own(self, k: int) -> str:
        """The letters of an operand that the result has and the other operand has not."""
        return "".join(
            n for n in self.letters[k] if n in self.result and n not in self.letters[1 - k]
        )

    def _summed(self) -> str:
        return "".join(n for n in self.letters[0] if n in self.letters[1] and n not in self.result)

    def _turned(self, k: int, last: bool) -> ast.expr:
        """An operand with the axis that is summed over last, or first."""
        letters, node = self.letters[k], self.operands[k]
        is_last = letters.index(self._summed()[-1]) > letters.index(self._own(k)[-1])
        turned = ast.copy_location(ast.Attribute(node, "T", ast.Load()), node)
        return node if is_last == last else turned


def summed(node: ast.AST) -> Summed | None:
    """Return what an einsum with its letters as a text says; None of everything else."""
    if not isinstance(node, ast.Call) or not node.args:
        return None
    first = node.args[0]
    if (
        called_name(node) != "einsum"
        or not isinstance(first, ast.Constant)
        or not isinstance(first.value, str)
    ):
        return None
    before, arrow, after = first.value.replace(" ", "").replace("...", "").partition("->")
    letters = tuple(before.split(","))
    if len(letters) != len(node.args) - 1:
        return None
    every = before.replace(",", "")
    result = after if arrow else "".join(sorted(n for n in set(every) if every.count(n) == 1))
    return Summed(letters, result, tuple(node.args[1:]))
