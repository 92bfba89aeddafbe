"""What an edit is called in a sentence, and how an edited equation is printed."""

from collections.abc import Sequence

from unrolled.checking.replay.edits import Edit
from unrolled.checking.replay.forms import derived
from unrolled.checking.replay.values import SOFTMAXES
from unrolled.checking.report import Cause
from unrolled.equations.expressions import Expression
from unrolled.equations.printers import _TIMES, Printer
from unrolled.equations.table import Table

_PLACE = "{new} stands where {old} belongs"
_PHRASES = {
    "missing_term": "the term {about} is missing",
    "term_twice": "the term {about} is added twice",
    "additional_term": "{about} is added, which does not belong there",
    "only_term": "only {new} is there, the other terms of {old} are missing",
    "product_for_sum": "the terms are multiplied where they are to be added: " + _PLACE,
    "missing_factor": "the factor {about} is missing",
    "factor_twice": "the factor {about} is there twice",
    "additional_factor": "there is a factor {about}, which does not belong there",
    "only_factor": "only {new} of the product {old} is there",
    "quotient": "it is divided by {about} in place of multiplied",
    "bracket": "a bracket closes too early: " + _PLACE,
    "bracket_moved": "a bracket is in the wrong place: " + _PLACE,
    "factor_moved": "a factor is on the wrong side of the product: " + _PLACE,
    "transposed": "a transpose is wrong: " + _PLACE,
    "exchanged": "the operands of the matrix product are exchanged: " + _PLACE,
    "elementwise": "it is multiplied entry by entry: {new} stands where the matrix product {old} belongs",
    "matrix_for_elementwise": "the matrix product {new} stands where {old}, entry by entry, belongs",
    "not_applied": "{function} is not applied: " + _PLACE,
    "applied_again": "{function} is applied where it does not belong: " + _PLACE,
    "other_function": "it is the wrong function: " + _PLACE,
    "derivative_missing": "the derivative is missing: " + _PLACE,
    "derivative_twice": "the derivative is multiplied twice: " + _PLACE,
    "derivative_square": "the square in the derivative is wrong: " + _PLACE,
    "derivative_applied_again": "the function is applied again, to its own value, in the derivative: "
    + _PLACE,
    "derivative_before": "the derivative takes the function's value, and is given what came before: "
    + _PLACE,
    "function_for_derivative": "the function stands where its derivative belongs: {new} in place of {old}",
    "other_derivative": "it is the derivative of another function: " + _PLACE,
    "square_lost": "the square is missing: " + _PLACE,
    "square_moved": "the square is around the wrong bracket: " + _PLACE,
    "not_summed": "the sum is missing: " + _PLACE,
    "mean_for_sum": "it is a mean where a sum belongs: {new} in place of {old}",
    "other_axis": "it is taken over the wrong axis: " + _PLACE,
    "keepdims": "without keepdims=True the sum has one axis, which is laid along the wrong one",
    "shape": "{old} has lost an axis and is laid along the wrong one",
    "overwritten": "the steps are not added up, as by = in place of +=: it is {new}, not {old}",
    "loop_bound": "a step is left out of the sum or counted again: it is {new}, not {old}",
    "loop_order": "the loop runs from t = 0 up where it is to run from t = T−1 down: " + _PLACE,
    "mirrored_steps": "the steps come in the other order, first for last: " + _PLACE,
    "starts_at_one": "the sum over the steps starts at 1 in place of 0",
    "softplus": "log(1 + exp(z)) is max(z, 0) + log(1 + exp(−|z|)): " + _PLACE,
    "not_normalised": "it is not divided by the sum: " + _PLACE,
    "softmax_diagonal": "of softmax's Jacobian only the diagonal is used: " + _PLACE,
    "softmax_summed": "softmax's Jacobian is summed, which gives 0, in place of multiplied by dŷ: "
    + _PLACE,
    "softmax_alone": "softmax's Jacobian is not multiplied by dŷ: " + _PLACE,
    "labels_of_all": "the labels of all are taken for each, in place of its own one: " + _PLACE,
    "shifted_otherwise": "the largest logit is not taken off as in the other places: " + _PLACE,
    "log_missing": "the logarithm is missing: " + _PLACE,
    "softmax_not_shifted": "the largest logit is not taken off before exp, which overflows: "
    + _PLACE,
    "wrapped_index": "at t = 0 the index t − 1 is −1, which is the last step: " + _PLACE,
    "initial_state": "the initial state is not used as it should: " + _PLACE,
    "axes_mixed": "the index is on the wrong axis, the last one is time: " + _PLACE,
    "other_block": "the stacked array is cut at the wrong place: " + _PLACE,
    "not_split": "the stacked array is not split: " + _PLACE,
    "stacked_otherwise": "it is stacked in another order than the weights: " + _PLACE,
    "not_stacked": "only one of the two is there: " + _PLACE,
    "clipped": "it is clipped: " + _PLACE,
    "yours": "your {new} stands where {old} belongs",
}
_TIME = {
    "over_time": "Σ_t %s", "first": "%s at t = 0", "last": "%s at t = T−1 only",
    "without_first": "Σ_t>0 %s", "without_last": "Σ_t<T−1 %s",
    "running": "the sum of all running sums of %s", "largest": "max_t %s", "stacked": "%s",
    "beside": "%s for each t", "below": "%s for each t",
}  # fmt: skip
_CALLS = {
    "of_all_columns": "max_m(%s)", "shifted": "%s − max", "shifted_up": "%s + max",
    "over_all": "Σ %s", "exp": "exp(%s)", "exp_shifted": "exp(%s − max)", "log": "log(%s)", "cosh": "cosh(%s)",
    "mean_batch": "mean_m(%s)", "mean_features": "mean_n(%s)", "mean_all": "mean(%s)",
    "max_batch": "max_m(%s)", "max_features": "max_n(%s)",
    "flat_batch": "sum_m(%s) without keepdims", "flat_features": "sum_n(%s) without keepdims",
    "softplus_without_abs": "max(z, 0) + log(1 + exp(−z)) of %s",
    "softplus_of_abs": "max(z, 0) + log(1 + exp(|z|)) of %s",
    "softplus_without_max": "log(1 + exp(−|z|)) of %s", "softplus_with_min": "min(z, 0) + log(1 + exp(−|z|)) of %s",
    "flat": "%s as one row", "clipped": "clip(%s)",
    "beside_rows": "[%s; %s]", "beside_columns": "[%s %s]",
    "first_rows": "the first rows of [%s; %s]", "last_rows": "the last rows of [%s; %s]",
    "first_columns": "the first columns of [%s %s]", "last_columns": "the last columns of [%s %s]",
    "jacobian_row_sums": "Σ_rows Jacobian(%s)", "jacobian_column_sums": "Σ_columns Jacobian(%s)",
}  # fmt: skip
_OVER = {"columns": "each column", "rows": "each row", "all": "the whole matrix"}
_AT = {"first": "0", "last": "T−1", "initial": "0"}
_LONG = ("add", "subtract", "multiply", "divide", "product")  # edits of these show both sides
_CUT = {"example": "[:, t, :]", "feature": "[t, :, :]"}
_NOTES = {
    "wrapped": " (t = 0: {}⟨T−1⟩)",
    "zeroed": " (t = 0: 0)",
    "late": " (t = 0: {}0)",
    "early": " (t = 0: {}⟨T−1⟩)",
    "early zeroed": " (t = 0: 0)",
    "after": " (t = 0: {}0)",
}
_SHIFTED = {"early": "t−2", "early zeroed": "t−2", "after": "t+1"}


class EditPrinter(Printer):
    """Prints edited equations: quantities of other steps, and operations that only a mistake has."""

    def __init__(self, table: Table):
        super().__init__(table)
        self.per_step = table.per_step | {*derived(table)}

    def name(self, name: str, at: str = "t") -> str:
        """Return the symbol of a quantity, with its step."""
        base, _, moved = name.partition("@")
        if not moved:
            return super().name(name, at)
        symbol = self.plain(base)
        if moved.startswith("carried_"):
            start = self.plain(moved.removeprefix("carried_"))
            return self.style["step"] % (symbol, "t−1") + _NOTES["late"].format(start)
        if moved in _SHIFTED:
            return self.style["step"] % (symbol, _SHIFTED[moved]) + _NOTES[moved].format(symbol)
        if moved in _NOTES:
            state = self.name(base) if moved == "late" else self.name(f"{base}_prev")
            return state + _NOTES[moved].format(symbol)
        if moved == "reversed":
            return self.style["step"] % (self.plain(base.replace("_next", "_prev")), "t−1")
        if moved == "mirrored":
            of, step = (
                (base.removesuffix("_prev"), "T−2−t") if base[-5:] == "_prev" else (base, "T−1−t")
            )
            return self.style["step"] % (self.plain(of), step)
        if moved == "any":
            return f"max_t {super().name(base)}"
        if moved == "initial":
            return self.plain(f"{base}0")
        if moved in _CUT:
            return f"{symbol}{_CUT[moved]}"
        step = _AT.get(moved) or f"t{moved.replace('-', '−')}"
        return self.style["step"] % (symbol, step)

    def _unbracketed(self, expression: Expression) -> str:
        operation, operands = expression.operation, expression.operands
        if operation in _TIME:
            return _TIME[operation] % self.print(operands[0], _TIMES)
        if operation in _CALLS:
            shown = operands[: _CALLS[operation].count("%s")]
            return _CALLS[operation] % tuple(map(self.print, shown))
        if operation in SOFTMAXES:
            shift, over = operation.removeprefix("softmax_shift_").split("_sum_")
            taken = (
                "" if shift in (over, "none") else f" and the largest of {_OVER[shift]} taken off"
            )
            return f"softmax({self.print(operands[0])}) with the sum over {_OVER[over]}{taken}"
        return super()._unbracketed(expression)


class Sayer:
    """Says what was found about one quantity; `own` is its equation as the table has it."""

    def __init__(self, table: Table, quantity: str, total: bool, own: Expression):
        self.printer, self.quantity, self.total = EditPrinter(table), quantity, total
        self.own = own

    def cause(self, right: Expression, found: Sequence[Edit]) -> Cause:
        """Return the cause that one edit of the right equation is, or two of them."""
        ids = dict.fromkeys(edit.id for edit in found)
        text = ", and ".join(dict.fromkeys(map(self.phrase, found)))
        share = right.operands[0] if right.operation in _TIME else right
        told = right is self.own or any(edit.old in (right, share) for edit in found)
        written = "" if told else f" Written out, right is {self.equation(right)}."
        whole = found[-1].new if found[0].id == "zero" else found[-1].whole
        return Cause("+".join(ids), "exact", f"{text}.{written}", self.equation(whole))

    def equation(self, right: Expression) -> str:
        """Return the equation as text; what comes from the step before says so, and what is given."""
        printer, quantity = self.printer, self.quantity
        if right.name == quantity and quantity in printer.previous:
            state = printer.plain(printer.previous[quantity])
            return f"{quantity} = {printer.name(quantity)}, {state}0 at t = 0"
        if right.operation == "first" and right.operands[0].name in printer.previous:
            return f"{printer.plain(quantity)} as it is given"
        return f"{self.left} = {printer.print(right)}"

    @property
    def left(self) -> str:
        """What the quantity is called: its total has no step."""
        name = self.printer.plain if self.total else self.printer.name
        return name(self.quantity)

    def phrase(self, edit: Edit) -> str:
        """Return what is said of one edit: a clause of a sentence."""
        show = self.printer.print
        if edit.id == "zero":
            return "it is 0"
        if edit.cost == 0.0:
            assert edit.about is not None
            return self._scale(edit.about)
        function = (edit.new if edit.id == "applied_again" else edit.old).operation
        share = edit.whole.operands[0] if edit.whole.operation in _TIME else edit.whole
        whole = edit.new is share and edit.new.operation not in _LONG
        if edit.id == "other_sign" and edit.about is not None:
            return f"the term {show(edit.about)} has the wrong sign"
        return _PHRASES.get(edit.id, _PLACE).format(
            old=self.left if whole else show(edit.old), new=show(edit.new),
            about="" if edit.about is None else show(edit.about, _TIMES if "factor" in edit.id else 0),
            function="σ" if function == "sigmoid" else function,
        )  # fmt: skip

    def _scale(self, scale: Expression) -> str:
        text = self.printer.print(scale)
        if scale.operation == "number" and scale.value == -1:
            return "it has the other sign"
        why = {
            "m": ": the mean over the batch is missing",
            "1 / m": ": it is divided by m once too often",
            "T": ": it is T times too much, as if added once more for each step",
            "1 / T": ": it is divided by T, a mean over time",
            "m ∘ T": ": the mean over batch and time is missing",
        }.get(text, "")
        return f"it is {text} times the right number{why}"

    def unknown(self, yours: Expression | None) -> Cause:
        """Return the cause where no edit gives the numbers; `yours` is what does, if it was read."""
        if yours is None:
            return Cause()
        theirs = self.equation(yours)
        return Cause("other_equation", "exact", f"yours is {theirs}.", theirs)
