"""The recorded table: that it is what the engine computes, how it is printed, what it refuses."""

import ast
import json
import re
from pathlib import Path

import numpy as np
import pytest
from problems import OUTPUTS, assert_close, cells, problem

from unrolled import notation
from unrolled.cells import cell_names, load_cell
from unrolled.equations import printers
from unrolled.equations.expressions import Expression
from unrolled.equations.step import build_step
from unrolled.equations.symbols import EquationError, Symbol, expression
from unrolled.equations.table import record
from unrolled.functions import PRIMITIVES

TEMPLATE = '''"""A cell for a test"""
from unrolled.functions import over_batch, tanh, where, positive
import numpy as np
source = "nowhere"
shapes = {{"x": "n_x m", "a": "n_a m", "W_aa": "n_a n_a", "W_ax": "n_a n_x", "b_a": "n_a 1"}}
def forward(x, a_prev, W_aa, W_ax, b_a):
    z_a = {z_a}
    {more}
    a = {a}
    return {{"z_a": z_a, "a": a}}
def backward(da_y, da_next, x, a_prev, a, W_aa, W_ax):
    da = da_y + da_next
    dz_a = (1 - a**2) * da
    return {{"da": da, "dz_a": dz_a, "da_prev": {da_prev}, "dx": W_ax.T @ dz_a,
            "dW_aa": dz_a @ a_prev.T, "dW_ax": dz_a @ x.T, {db_a}}}
'''
RIGHT = {"z_a": "W_aa @ a_prev + W_ax @ x + b_a", "more": "pass", "a": "tanh(z_a)",
         "da_prev": "W_aa.T @ dz_a", "db_a": '"db_a": over_batch(dz_a)'}  # fmt: skip


def _cell(tmp_path, **changed):
    path = tmp_path / "trial.py"
    path.write_text(TEMPLATE.format(**RIGHT | changed), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("output", "loss"), OUTPUTS)
@pytest.mark.parametrize(("cell", "activation"), list(cells()))
def test_the_table_is_what_the_engine_computes(cell, activation, output, loss):
    """Every equation, evaluated from its printed operands, gives the engine's own number."""
    p = problem(cell, activation, output, loss)
    table, tape = record(p.net.architecture.step), p.net.tape(*p.arguments)
    for t in range(tape.batch.T):
        known = p.net.parameters | tape[t]
        for equation in (*table.of("forward"), *table.of("backward")):
            found = equation.expression.value_of(known)
            assert np.array_equal(found, known[equation.name]), equation.name
    for equation in table.of("link"):
        assert equation.expression.operation in ("previous", "next")
    for equation in table.of("total"):
        of = equation.expression.operands[0].name
        steps = (
            tape.shares[of] if of in tape.shares else np.array([tape[t][of] for t in range(4)]).T
        )
        if equation.expression.operation == "over_time":
            assert_close(np.squeeze(tape[equation.name]), np.squeeze(steps.sum(axis=-1)))
        else:
            assert np.array_equal(tape[equation.name], tape[0][of])


@pytest.mark.parametrize(("cell", "activation"), list(cells()))
def test_shapes_on_symbols_are_shapes_of_arrays(cell, activation):
    p = problem(cell, activation)
    table, tape = record(p.net.architecture.step), p.net.tape(*p.arguments)
    sizes = p.net.sizes | {"m": 7}
    for equation in (*table.of("forward"), *table.of("backward")):
        shape = tuple(sizes.get(axis, axis) for axis in equation.shape)
        assert tape[1][equation.name].shape == shape


@pytest.mark.parametrize("cell", cell_names())
def test_equations_stand_in_the_order_of_computation(cell):
    """Nothing is used before the equation that computes it."""
    table = record(build_step(cell))
    computed = {e.name for e in table.of("forward")} | {e.name for e in table.of("backward")}
    seen = set()
    for equation in (*table.of("forward"), *table.of("backward")):
        used = {leaf.name for leaf in equation.expression.leaves()}
        assert used & computed <= seen
        seen.add(equation.name)


def test_brackets_stand_where_they_are_needed():
    table = record(build_step("lstm"))
    text, latex = printers.Printer(table), printers.Printer(table, printers.LATEX)
    a, c, b = (_symbol(n, table.shapes[n]) for n in ("a", "c", "b_f"))
    for symbol, expected in (
        (a - (c + a), "a⟨t⟩ − (c⟨t⟩ + a⟨t⟩)"),
        ((a - c) + a, "a⟨t⟩ − c⟨t⟩ + a⟨t⟩"),
        ((a + c) * a, "(a⟨t⟩ + c⟨t⟩) ∘ a⟨t⟩"),
        ((a + c) ** 2, "(a⟨t⟩ + c⟨t⟩)²"),
        ((a * c).T @ a, "(a⟨t⟩ ∘ c⟨t⟩)ᵀ a⟨t⟩"),
        (a * (a @ (a.T @ c)), "a⟨t⟩ ∘ (a⟨t⟩ a⟨t⟩ᵀ c⟨t⟩)"),
        (PRIMITIVES["over_batch"](a) * c, "(Σ_m a⟨t⟩) ∘ c⟨t⟩"),
        (c * PRIMITIVES["over_batch"](a * c), "c⟨t⟩ ∘ Σ_m a⟨t⟩ ∘ c⟨t⟩"),
        (PRIMITIVES["over_batch"](a + c), "Σ_m (a⟨t⟩ + c⟨t⟩)"),
        (-(a + c), "−(a⟨t⟩ + c⟨t⟩)"),
        (-a * c, "(−a⟨t⟩) ∘ c⟨t⟩"),
        (a / (b * c), "a⟨t⟩ / (b_f ∘ c⟨t⟩)"),
        (a - (-3.0), "a⟨t⟩ − (-3)"),
        (a * 0.123456789, "a⟨t⟩ 0.123456789"),
    ):
        assert text.print(expression(symbol)) == expected
    for value, expected in (
        (1e-8, r"1\cdot 10^{-8}"),
        (2.0, "2"),
        (0.5, r"\tfrac12"),
        (1e30, r"1\cdot 10^{30}"),
    ):
        assert latex.print(Expression("number", value=value)) == expected


def test_text_of_the_plain_cell():
    text = printers.to_text(record(build_step("rnn")), links=True)
    for line in (
        "z_a⟨t⟩    = W_aa a⟨t−1⟩ + W_ax x⟨t⟩ + b_a",
        "dz_a⟨t⟩    = (1 − a⟨t⟩²) ∘ da⟨t⟩",
        "dW_aa⟨t⟩   = dz_a⟨t⟩ a⟨t−1⟩ᵀ",
        "da_next⟨t⟩ = da_prev⟨t+1⟩, 0 at t = T−1",
        "a_prev⟨t⟩  = a⟨t−1⟩, a0 at t = 0",
        "dW_aa = Σ_t dW_aa⟨t⟩",
        "Elman 1990",
    ):
        assert line in text


def test_sizes_are_put_in():
    sizes = {"n_x": 3, "n_a": 5, "n_y": 2, "m": 7, "T": 4}
    text = printers.to_text(record(build_step("rnn")), sizes)
    assert "(5, 7) = (5, 5) (5, 7) + (5, 3) (3, 7) + (5, 1)" in text
    assert "(2, 5) = (2, 7) (7, 5)" in text
    assert "n_a m" not in text


@pytest.mark.parametrize("cell", cell_names())
def test_columns_are_aligned(cell):
    text = printers.to_text(record(build_step(cell)))
    forward = text.split("Forward")[1].split("\n\n")[0].splitlines()[1:]
    assert len({notation.width(line.split(" = ")[0]) for line in forward}) == 1


@pytest.mark.parametrize("cell", cell_names())
def test_ascii_is_ascii_and_loses_nothing(cell):
    table = record(build_step(cell))
    text = printers.to_text(table, links=True, ascii=True)
    assert text.isascii()
    assert "?" not in text
    assert len(text.splitlines()) == len(printers.to_text(table, links=True).splitlines())


@pytest.mark.parametrize(("cell", "activation"), list(cells()))
def test_latex_is_balanced(cell, activation):
    latex = printers.to_latex(record(build_step(cell, activation)), links=True)
    body = "\n".join(line for line in latex.splitlines() if not line.startswith("%"))
    assert body.isascii()
    assert body.count("{") == body.count("}")
    assert body.count(r"\left(") == body.count(r"\right)")
    for name in ("align*", "cases"):
        assert body.count(rf"\begin{{{name}}}") == body.count(rf"\end{{{name}}}")
    assert not re.search(r"\^\{[^{}]*\}\^", body), "a double superscript does not compile"


@pytest.mark.parametrize(("cell", "activation"), list(cells()))
def test_json_holds_every_equation(cell, activation):
    table = record(build_step(cell, activation))
    data = json.loads(json.dumps(printers.to_dict(table)))
    assert [e["name"] for e in data["equations"]] == [e.name for e in table.equations]
    names = {q["name"] for q in data["quantities"]}
    for equation in data["equations"]:
        assert equation["name"] in names or equation["direction"] == "total"
    assert all(q["meaning"] for q in data["quantities"]), "the legend explains every quantity"


@pytest.mark.parametrize("cell", cell_names())
def test_lines_point_into_the_cell_file(cell):
    part = load_cell(cell)
    source = Path(part.forward.__code__.co_filename).read_text(encoding="utf-8").splitlines()
    for equation in record(build_step(cell)).equations:
        if equation.part == cell:
            assert re.search(rf"\b{equation.name}\b", source[equation.line - 1]), equation.name


@pytest.mark.parametrize("cell", cell_names())
def test_nothing_is_computed_twice(cell):
    """A product that is used twice has a name."""
    for direction in ("forward", "backward"):
        products = []

        def collect(node, products=products):
            if node.operation == "product":
                products.append(repr([leaf.name for leaf in node.leaves()]) + str(node.shape))
            for operand in node.operands:
                collect(operand)

        for equation in record(build_step(cell)).of(direction):
            collect(equation.expression)
        assert len(products) == len(set(products))


def _symbol(name="z_a", shape=("n_a", "m")):
    return Symbol(Expression.quantity(name, shape))


@pytest.mark.parametrize("say", [
    lambda z: bool(z), lambda z: 1 if z else 0, lambda z: z and z, lambda z: not z,
    lambda z: z.__iadd__(z), lambda z: z.__imul__(z), lambda z: z[0], lambda z: z[:, 0],
    lambda z: z.__setitem__(0, 1), lambda z: list(z), lambda z: len(z), lambda z: float(z),
    lambda z: np.tanh(z), lambda z: np.sum(z), lambda z: np.asarray(z), lambda z: z > 0,
    lambda z: z == z, lambda z: z**3, lambda z: 2**z, lambda z: z % 2, lambda z: abs(z),
    lambda z: z + None, lambda z: z * np.ones((2, 2)), lambda z: np.ones((2, 2)) @ z,
    lambda z: z * True, lambda z: z @ 2.0, lambda z: z.shape, lambda z: z.name, lambda z: z.value,
    lambda z: z.line, lambda z: z.sum(), lambda z: z.dtype, lambda z: z.operands,
])  # fmt: skip
def test_a_symbol_refuses_what_a_cell_may_not_say(say):
    with pytest.raises(EquationError) as refusal:
        say(_symbol())
    sentence = str(refusal.value)
    assert "\n" not in sentence
    assert len(sentence) > 30


def test_in_place_is_refused_by_its_operator():
    z = _symbol()
    with pytest.raises(EquationError, match="z_a is changed in place"):
        z += 1


@pytest.mark.parametrize(("changed", "words"), [
    ({"z_a": "W_aa @ a_prev + x @ W_ax + b_a"}, "inner axes"),
    ({"z_a": "W_aa @ a_prev + W_ax @ x + b_a.T"}, "m does not fit n_a"),
    ({"z_a": "W_aa @ a_prev.T + W_ax @ x + b_a"}, "inner axes"),
    ({"da_prev": "dz_a.T @ W_aa"}, "da_prev has shape (m, n_a), expected (n_a, m)"),
    ({"db_a": '"db_a": dz_a'}, "db_a has shape (n_a, m), expected (n_a, 1), that of b_a"),
    ({"db_a": ""}, "backward does not return db_a"),
    ({"more": "z_a += b_a"}, "in place"),
    ({"more": "z_a[0] = b_a"}, "slice"),
    ({"more": "a = 1 if z_a else 0"}, "whether it is true"),
    ({"a": "np.tanh(z_a)"}, "NumPy function"),
    ({"a": "np.maximum(z_a, 0)"}, "NumPy function"),
    ({"a": "b_a"}, "a has shape (n_a, 1), expected (n_a, m)"),
    ({"a": "1.0"}, "expected an equation"),
    ({"more": "z_a = z_a + 1 if x.shape[1] == 7 else z_a"}, "x has no .shape here"),
    ({"more": "raise SystemExit(3)"}, "forward, line"),
    ({"db_a": '"db_a": over_batch(da_wrong)'}, "da_wrong"),
])  # fmt: skip
def test_a_cell_that_breaks_the_rules_says_so(tmp_path, changed, words):
    """Shapes are names, so a transposed array is found though n_a = n_x = m might hold."""
    with pytest.raises(EquationError, match=re.escape(words)):
        record(build_step(_cell(tmp_path, **changed)))


def test_the_right_cell_of_the_template_passes(tmp_path):
    table = record(build_step(_cell(tmp_path)))
    ours = record(build_step("rnn", "tanh"))
    text, other = printers.Printer(table), printers.Printer(ours)
    assert [text.equation(e) for e in table.equations] == [
        other.equation(e) for e in ours.equations
    ]


def test_any_letter_names_a_layer():
    for name, meaning in (("W_kx", "weights from the input to the k"), ("b_k", "bias of the k"),
                          ("z_k", "pre-activation of the k"), ("dW_kx", "∂loss/∂W_kx")):  # fmt: skip
        assert notation.entry(name).meaning == meaning
    assert notation.entry("W_kx").latex == "W_{kx}"


def test_a_cell_file_says_what_its_own_names_mean(tmp_path):
    path = tmp_path / "trial.py"
    text = TEMPLATE.format(**RIGHT) + 'meanings = {"z_a": "the sum"}\n'
    path.write_text(text, encoding="utf-8")
    table = record(build_step(str(path)))
    assert table.meaning("z_a") == "the sum"
    assert table.meaning("dz_a") == "∂loss/∂z_a"
    assert "the sum" in printers.to_text(table)


def test_derived_names_have_a_meaning():
    for name in ("dW_fa", "dz_a", "da_next", "dc_prev", "W_ya", "b_u", "z_r", "dy_hat", "dc_tilde"):
        assert notation.entry(name).meaning, name
    assert notation.entry("dW_aa").text == "dW_aa"
    assert notation.entry("dc_tilde").text == "dc̃"
    assert notation.entry("something").text == "something"


@pytest.mark.parametrize("cell", cell_names())
def test_declared_shapes_are_the_legends(cell):
    for name, shape in load_cell(cell).shapes.items():
        assert notation.entry(name).shape == shape


@pytest.mark.parametrize("cell", cell_names())
def test_a_cell_file_is_short_and_knows_no_library(cell):
    text = Path(load_cell(cell).forward.__code__.co_filename).read_text(encoding="utf-8")
    assert len(text.splitlines()) < 100
    imported = {
        node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)
    }
    assert imported <= {"unrolled.functions", "unrolled.activations"}
    assert not any(isinstance(node, ast.Import) for node in ast.walk(ast.parse(text)))
