"""The forms in which people write an equation: the table's own, and with other equations put in."""

from collections.abc import Iterator

from unrolled.activations import softmax_backward
from unrolled.checking.problems import Truth
from unrolled.equations.expressions import Expression, combined, summed
from unrolled.equations.symbols import Symbol, expression
from unrolled.equations.table import Table
from unrolled.functions import over_batch

LARGEST = 30  # nodes: what nobody writes in one line is not searched


def forms(quantity: str, truth: Truth, total: bool) -> list[list[Expression]]:
    """Return the right equation of a quantity in every form that is searched, [] if it has none:
    first the table's own, then those with other equations put in once, twice, three times.

    `total` is whether it is wanted over all steps: a gradient summed over time, the loss, da0.
    """
    table = truth.table
    depths: dict[int, list[Expression]] = {}
    seen = set()
    for depth, form in _forms(quantity, truth):
        if form.key not in seen and (not depth or sum(1 for _ in form.nodes()) <= LARGEST):
            seen.add(form.key)
            if total and quantity[1:2] in truth.problem.shared and quantity[:1] == "d":
                form = expression(over_batch(Symbol(form)))  # of a learned start
            depths.setdefault(depth, []).append(_over_steps(quantity, form, total, table))
    return list(depths.values())


def _forms(quantity: str, truth: Truth) -> Iterator[tuple[int, Expression]]:
    """Yield each form and how deep it goes."""
    table = truth.table
    base = _equation(quantity, table)
    if base is None:
        return
    yield 0, base
    yield from ((1, form) for form in _long_softmax(quantity, truth))
    yield from ((1, form) for form in _of_exponentials(quantity, truth))
    defined = _defined(table)
    if quantity == "log_y_hat":
        yield 1, defined[quantity].substituted(defined)
    if (joined := _joined(base, table)) is not None:
        yield 1, joined
    gradients, deeper = _gradients(table), base
    for depth in range(1, 4):
        for name in dict.fromkeys(leaf.name for leaf in deeper.leaves()):
            if name in defined:
                yield depth, deeper.substituted({name: defined[name]})
                whole = defined[name].substituted(gradients)  # tanh(z_a) worked out once more
                yield depth + 1, deeper.substituted({name: whole})
                if (joined := _joined(defined[name], table)) is not None:
                    yield depth, deeper.substituted({name: joined})
        deeper = deeper.substituted(gradients)
        yield depth, deeper


def _of_exponentials(quantity: str, truth: Truth) -> Iterator[Expression]:
    """ŷ, log ŷ and the losses of softmax as they are written out: from exponentials, of the logits or of
    those with the largest taken off.
    """
    table = truth.table
    right, defined = _equation(quantity, table), _defined(table)
    if quantity not in ("y_hat", "log_y_hat", "losses", "loss") or "log_y_hat" not in defined:
        return
    assert right is not None
    z, logarithm = Expression.quantity("z_y", table.shapes["z_y"]), _equation("log_y_hat", table)
    assert logarithm is not None
    for name, inner in (("losses", defined["losses"]), ("log_y_hat", logarithm)):
        right = right.substituted({name: inner})
    for logits in (z, Expression("shifted", (z,), z.shape)):
        if quantity != "y_hat":
            yield right.substituted({"z_y": logits})
        elif right.operation == "softmax":
            exp = Expression("exp", (logits,), z.shape)
            total = Expression("over_features", (exp,), (1, *z.shape[1:]))
            yield combined("divide", exp, total)


def joined_gradients(quantity: str, table: Table) -> list[Expression]:
    """Return dW_f = dz_f [a⟨t−1⟩; x⟨t⟩]ᵀ, either way round, of which a quantity is a part."""
    own = _equation(quantity, table)
    other = _equation(f"{quantity[:-1]}{'a' if quantity[-1:] == 'x' else 'x'}", table)
    if own is None or other is None or {own.operation, other.operation} != {"product"}:
        return []
    dz, inputs = own.operands[0], [e.operands[1].operands for e in (own, other)]
    if not all(inputs) or quantity[:2] != "dW":
        return []
    (p,), (q,) = inputs
    stacked = [Expression("beside_rows", pair, p.shape) for pair in ((p, q), (q, p))]
    turned = [Expression("transpose", (one,), one.shape[::-1]) for one in stacked]
    return [Expression("product", (dz, one), own.shape) for one in turned]


def _joined(form: Expression, table: Table) -> Expression | None:
    """W_fa a⟨t−1⟩ + W_fx x⟨t⟩ + b_f as [W_fa W_fx] [a⟨t−1⟩; x⟨t⟩] + b_f; None for other equations."""
    products = {
        term.operands[0].name: term for _, term in form.terms() if term.operation == "product"
    }
    for name, product in products.items():
        other = products.get(f"{name[:-1]}x")
        if other is not None and other is not product and name in table.step.parameters:
            pairs = zip(product.operands, other.operands, strict=True)
            stacked = [
                Expression(f"beside_{axis}", pair, pair[0].shape)
                for axis, pair in zip(("columns", "rows"), pairs, strict=True)
            ]
            joined = Expression("product", tuple(stacked), product.shape)
            rest = [(s, term) for s, term in form.terms() if term not in (product, other)]
            return summed([(1, joined), *rest])
    return None


def _equation(quantity: str, table: Table) -> Expression | None:
    """The right side; what is given, and a state before its step, is its own."""
    quantity = {f"{s}0": f"{s}_prev" for s in table.step.states}.get(quantity, quantity)
    quantity = {f"d{s}0": f"d{s}_prev" for s in table.step.states}.get(quantity, quantity)
    for equation in table.equations:
        if equation.name == quantity and equation.direction in ("forward", "backward"):
            return equation.expression
    shape = table.shapes.get(quantity)
    return None if shape is None else Expression.quantity(quantity, shape)


def _defined(table: Table) -> dict[str, Expression]:
    """What may be put in for a quantity: its equation, and log ŷ as the logarithm of ŷ."""
    found = {e.name: e.expression for e in (*table.of("forward"), *table.of("backward"))}
    if "log_y_hat" in found:
        y_hat = Expression.quantity("y_hat", table.shapes["y_hat"])
        found["log_y_hat"] = Expression("log", (y_hat,), y_hat.shape)
    return found


def _gradients(table: Table) -> dict[str, Expression]:
    """What is put in level by level: gradients, and pre-activations of the forward pass."""
    defined = _defined(table)
    return {
        name: right
        for name, right in defined.items()
        if name[:1] == "d" or name[:2] == "z_" or name in ("losses", "log_y_hat")
    }


def derived(table: Table) -> dict[str, Expression]:
    """What people compute beside the table: dŷ = −ω y / ŷ of softmax and cross-entropy."""
    step, shapes = table.step, table.shapes
    if step.prediction.name != "softmax" or not step.loss.from_logits:
        return {}
    y_hat, y, omega = (Expression.quantity(n, shapes[n]) for n in ("y_hat", "y", "omega"))
    share = combined("multiply", omega, combined("divide", y, y_hat))
    return {"dy_hat": Expression("negative", (share,), share.shape)}


def _long_softmax(quantity: str, truth: Truth) -> Iterator[Expression]:
    """dz_y = ω (ŷ − y) as it is before everything cancels: the Jacobian times dŷ, from ŷ or z_y."""
    table = truth.table
    beside = derived(table)
    if quantity != "dz_y" or not beside:
        return
    y_hat = Expression.quantity("y_hat", table.shapes["y_hat"])
    dy_hat = Expression.quantity("dy_hat", y_hat.shape)
    short = expression(softmax_backward(Symbol(dy_hat), Symbol(y_hat)))
    defined = _defined(table)
    from_logits = short.substituted({"y_hat": defined["y_hat"]})
    yield from (short, short.substituted(beside), from_logits)
    yield from_logits.substituted({"z_y": defined["z_y"]})


def _over_steps(quantity: str, form: Expression, total: bool, table: Table) -> Expression:
    if not total:
        return form
    if quantity == "loss" or quantity.removeprefix("d") in table.step.parameters:
        return Expression("over_time", (form,), form.shape)
    edge = [f"{d}{s}0" for s in table.step.states for d in ("", "d")]
    return Expression("first" if quantity in edge else "stacked", (form,), form.shape)
