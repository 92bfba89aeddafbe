"""Tables: what is put into a file by hand comes back, in every layout and dialect; or one sentence."""

import csv
import io
import subprocess
import sys

import numpy as np
import polars as pl
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import unrolled as un
from unrolled.data.named import DATA_SETS, digits, sunspots
from unrolled.data.tables import LabelledSequences, Series, read_table
from unrolled.data.tables.csv_file import MOST_COLUMNS

LONG = "id,t,x,y,class\nb,2,3,4,u\na,1,5,6,v\nb,1,1,2,u\n"
WIDE = "label,s1,s2,s3\na,1,2,3\nb,4,5,\n"
TEXT = "name,language\nSmith,English\nMüller,German\n"
YEARS = "year,x,y\n2001,1,2\n2000,3,4\n2002,5,6\n"


@pytest.fixture
def read(tmp_path):
    """Return what is read from a file of a content."""

    def read(content, name="data.csv", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, **options)

    return read


@pytest.fixture
def refused(read, tmp_path):
    """Return the sentence that refuses a content, without the folder."""

    def refused(content, name="data.csv", **options):
        with pytest.raises(un.UnrolledError) as error:
            read(content, name, **options)
        sentence = str(error.value)
        assert sentence.startswith(str(tmp_path / name)), "it names the file"
        assert "\n" not in sentence
        assert len(sentence) < len(str(tmp_path)) + 260
        assert error.value.__cause__ is None
        return sentence.removeprefix(str(tmp_path / name))

    return refused


def _parquet(**columns):
    content = io.BytesIO()
    pl.DataFrame(columns).write_parquet(content)
    return content.getvalue()


def _lists(found):
    return [s if isinstance(s, str) else s.tolist() for s in found.sequences]


# The layouts, and the line that says how a file was understood


def test_one_row_a_step(read):
    found = read(LONG)
    assert _lists(found) == [[[1.0, 2.0], [3.0, 4.0]], [[5.0, 6.0]]]
    assert (found.labels, found.features) == (["u", "v"], ("x", "y"))
    assert all(s.dtype == np.float64 for s in found.sequences)
    assert found.read_as == (
        'read as: labelled sequences, one row a step (sequence "id", time "t", label "class", '
        "features x, y); 2 sequences of 1 to 2 steps, 2 labels"
    )


def test_one_row_a_sequence(read):
    found = read(WIDE)
    assert _lists(found) == [[[1.0], [2.0], [3.0]], [[4.0], [5.0]]]
    assert (found.labels, found.features) == (["a", "b"], ("value",))
    assert found.read_as == (
        'read as: labelled sequences, one row a sequence (label "label", steps s1, s2, s3); '
        "2 sequences of 2 to 3 steps, 2 labels"
    )


def test_a_line_that_ends_early_is_a_shorter_sequence(read):
    assert _lists(read("label,s1,s2,s3\na,1\nb,4,5,6\n")) == [[[1.0]], [[4.0], [5.0], [6.0]]]


def test_text(read):
    found = read(TEXT)
    assert (found.sequences, found.labels) == (["Smith", "Müller"], ["English", "German"])
    assert found.features == ()
    assert 'text (label "language", characters of "name")' in found.read_as
    odd = read('label,text\na," two words "\nb,NA\na,"a ""b""\nc"\n')
    assert odd.sequences == [" two words ", "NA", 'a "b"\nc'], "a text is kept as it is"


def test_lists(read):
    content = _parquet(label=["a", "b"], x=[[1, 2], [3]], y=[[1.5, 2.5], [3.5]])
    found = read(content, "data.parquet")
    assert _lists(found) == [[[1.0, 1.5], [2.0, 2.5]], [[3.0, 3.5]]]
    assert (found.labels, found.features) == (["a", "b"], ("x", "y"))
    assert 'lists (label "label", features x, y)' in found.read_as
    fixed = pl.Series([[1, 2], [3, 4]], dtype=pl.Array(pl.Int8, 2))
    assert _lists(read(_parquet(label=["a", "b"], x=fixed), "data.parquet"))[1] == [[3.0], [4.0]]


def test_a_series(read):
    found = read(YEARS, target="y")
    assert found.values.tolist() == [[3.0, 4.0], [1.0, 2.0], [5.0, 6.0]], "sorted by time"
    assert (found.columns, found.targets) == (("x", "y"), ("y",))
    assert found.read_as == 'read as: a series (time "year", values x, y, target y); 3 steps'
    assert read(YEARS.replace("y\n", "z\n")).targets == ("x", "z")
    assert "no label column (--label names it" in read("a,b\n1,2\n3,4\n").read_as


@pytest.mark.parametrize(
    ("times", "regular", "order"),
    [
        (["2020-01-31", "2020-02-29", "2020-03-31"], True, [0, 1, 2]),
        (["2020-01-01", "2020-01-02", "2020-01-05"], False, [0, 1, 2]),
        (["2020-01-02T10:00:00Z", "2020-01-02T11:00:00Z", "2020-01-02T09:00:00Z"], True, [2, 0, 1]),
        (["2020-03", "2020-01", "2020-02"], True, [1, 2, 0]),
        (["31.01.2020", "01.03.2020", "29.02.2020"], True, [0, 2, 1]),
        (["12/30/2020", "12/31/2020", "1/1/2021"], True, [0, 1, 2]),
        (["01/01/2020", "02/01/2020", "01/02/2021"], False, [0, 1, 2]),
        (["0.5", "0.1", "0.3"], True, [1, 2, 0]),
        (["3", "1", "20"], False, [1, 0, 2]),
    ],
)
def test_time(read, times, regular, order):
    rows = "".join(f"{time},{k}\n" for k, time in enumerate(times))
    found = read(f"date,v\n{rows}")
    assert found.values[:, 0].tolist() == order
    assert ("in irregular steps" in found.read_as) is not regular


def test_a_date_is_found_without_its_name(read):
    assert read("when,v\n2020-01-02,1\n2020-01-01,2\n").values.tolist() == [[2.0], [1.0]]
    assert read("2020-01-02,1\n2020-01-01,2\n").values.tolist() == [[2.0], [1.0]], "no header"
    dates = pl.Series(["2020-01-02", "2020-01-01"]).str.to_date()
    assert read(_parquet(d=dates, v=[1, 2]), "d.parquet").values.tolist() == [[2.0], [1.0]]


def test_y_may_be_a_label_a_coordinate_or_a_value(read):
    assert read("y,a,b\n0,1,2\n1,3,4\n0,3,4\n1,3,4\n").labels == ["0", "1", "0", "1"]
    assert isinstance(read("ds,y\n2020-01-01,5\n2020-01-02,7\n"), Series)
    assert isinstance(read("x,y\n1,2\n1,2\n3,4\n3,4\n"), Series)
    assert isinstance(read("a,target\n1,0.5\n2,0.7\n"), Series)


def test_options_say_what_names_do_not(read):
    content = "who,when,what,x,z\np,2,u,1,2\np,1,u,3,4\nq,1,v,5,6\n"
    found = read(content, sequence="who", time="when", label="what", features=["x"])
    assert _lists(found) == [[[3.0], [1.0]], [[5.0]]]
    assert found.features == ("x",)
    assert isinstance(read("label,x\n1,2\n2,3\n", target="label"), Series)
    assert isinstance(read("id,time,label,s1,s2\n1,5,a,3,4\n2,6,b,5,6\n", sequence="id",
                           features="s1", label="time"), LabelledSequences)  # fmt: skip


@pytest.mark.parametrize(
    ("column", "labels"),
    [
        (["1.0", "2", "01"], ["1", "2", "01"]),
        (["True", "false", "true"], ["true", "false", "true"]),
        (["1", "x", "2"], ["1", "x", "2"]),
        ([" a", "b ", "c d"], ["a", "b", "c d"]),
        (["99999999999999999999", "7", "7"], ["99999999999999999999", "7", "7"]),
    ],
)
def test_labels(read, column, labels):
    assert read("label,x\n" + "".join(f"{c},1\n" for c in column)).labels == labels


def test_labels_in_parquet(read):
    named = pl.Series(["b", "a"], dtype=pl.Categorical)
    for column, labels in (([True, False], ["true", "false"]), ([2.0, 1.0], ["2", "1"]),
                           ([2**60, 1], [str(2**60), "1"]), (named, ["b", "a"])):  # fmt: skip
        found = read(_parquet(label=column, x=[1, 2], on=[True, False]), "data.parquet")
        assert found.labels == labels
        assert _lists(found) == [[[1.0], [1.0]], [[2.0], [0.0]]], "truth values are numbers"


# Dialects of CSV


@pytest.mark.parametrize(
    "content",
    [
        "a,b\n1.5,2\n-3,4e2\n", "a;b\n1.5;2\n-3;4e2\n", "a\tb\n1.5\t2\n-3\t4e2\n",
        "a;b\n1,5;2\n-3;4e2\n", '"a","b"\n"1.5","2"\n"-3","4e2"\n', "a,b\r\n1.5,2\r\n-3,4e2\r\n",
        "a,b\r1.5,2\r-3,4e2\r", "\ufeffa,b\n1.5,2\n-3,4e2", "\n\na, b\n 1.5, 2 \n-3,4e2\n\n ,\n",
        ",a,b\n0,1.5,2\n1,-3,4e2\n", "a,b,\n1.5,2,\n-3,4e2,\n", "a,b\n+1.5,2.\n-3.0,400\n",
    ],
)  # fmt: skip
def test_dialects(read, content):
    found = read(content)
    assert found.columns == ("a", "b")
    assert found.values.tolist() == [[1.5, 2.0], [-3.0, 400.0]]


def test_a_header_or_none(read):
    assert read("1,5;2\n3;4\n").columns == ("column_1", "column_2")
    assert "no header" in read("1\n2\n").read_as
    found = read("a,0.5,1\nb,2,3\na,4,5\n", label="column_1")
    assert found.labels == ["a", "b", "a"], "a label that stands there again is no name"
    assert read("word,kind\nkind,noun\nbig,adjective\n", label="kind").sequences == ["kind", "big"]


@pytest.mark.parametrize(
    "name", ["value", "variable", "text", "number", "there", "row", "start", "*", "^x$"]
)
def test_any_name_of_a_column(read, name):
    series = read(f"x,{name}\n1,2\n3,4\n5,6\n")
    assert series.columns == ("x", name)
    assert series.values.tolist() == [[1, 2], [3, 4], [5, 6]]
    chosen = read(f"x,{name}\n1,2\n3,4\n5,6\n", features=name)
    assert chosen.columns == (name,)
    assert chosen.values.tolist() == [[2], [4], [6]]
    lists = read(
        _parquet(x=[[1.0], [2.0]], label=["a", "b"], **{name: [[3.0], [4.0]]}), "data.parquet"
    )
    assert lists.features == ("x", name)
    assert lists.sequences[1].tolist() == [[2, 4]]
    steps = read(
        _parquet(
            seq=[1, 1],
            label=pl.Series(["a", "a"], dtype=pl.Categorical),
            x=[1, 2],
            **{name: [3, 4]},
        ),
        "data.parquet",
    )
    assert steps.sequences[0].tolist() == [[1, 3], [2, 4]]
    labelled = read(f"x,{name}\n1,u\n3,v\n5,u\n7,v\n", label=name)
    assert labelled.labels == ["u", "v", "u", "v"]
    assert labelled.features == ("value",)
    assert read(f"class,{name}\n1,u\n2,v\n").sequences == ["u", "v"]
    dated = read(f"x,{name}\n1,2020-01-02\n2,2020-01-01\n")
    assert dated.columns == ("x",)
    assert dated.values.tolist() == [[2], [1]]


def test_thousands_of_columns(read):
    steps = [f"{k}" for k in range(5000)]
    content = "\n".join(",".join(["label", *steps][: 5001]) if k < 0 else ",".join(["ab"[k], *steps])
                        for k in (-1, 0, 1))  # fmt: skip
    found = read(content)
    assert found.sequences[1][:, 0].tolist() == list(range(5000))
    assert "steps " in found.read_as
    assert len(found.read_as) < 200


# What is put in comes back: random tables, written by Python's csv module

finite = st.floats(allow_nan=False, allow_infinity=False, width=64)
names = st.text("abcdefgh", min_size=1, max_size=5)


def _number(value, comma):
    return repr(value).replace(".", ",") if comma else repr(value)


def _write(rows, separator, newline):
    content = io.StringIO()
    csv.writer(content, delimiter=separator, lineterminator=newline).writerows(rows)
    return content.getvalue()


dialects = st.tuples(st.sampled_from([(",", False), (";", False), (";", True), ("\t", True)]),
                     st.sampled_from(["\n", "\r\n"]))  # fmt: skip


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("tables") / "data.csv"


@given(st.data(), dialects)
def test_random_rows_of_steps(path, data, dialect):
    (separator, comma), newline = dialect
    n_x = data.draw(st.integers(1, 4))
    step = st.lists(finite, min_size=n_x, max_size=n_x)
    sequences = data.draw(st.lists(st.lists(step, min_size=1, max_size=5), min_size=2, max_size=5))
    labels = [f"l{k % 2}" for k in range(len(sequences))]
    features = [f"f{k}" for k in range(n_x)]
    rows = [
        (f"s{k}", t, labels[k], *(_number(v, comma) for v in values))
        for k, sequence in enumerate(sequences)
        for t, values in enumerate(sequence)
    ]
    assume(len(rows) > len(sequences))  # otherwise the column id only numbers the rows
    shuffled = data.draw(st.permutations(rows))
    path.write_text(_write([("id", "t", "class", *features), *shuffled], separator, newline),
                    "utf-8", newline="")  # fmt: skip
    found = read_table(path)
    order = list(dict.fromkeys(int(row[0][1:]) for row in shuffled))
    assert _lists(found) == [sequences[k] for k in order]
    assert found.labels == [labels[k] for k in order]
    assert found.features == tuple(features)


@given(st.lists(st.lists(finite, min_size=1, max_size=6), min_size=2, max_size=6), dialects,
       st.booleans())  # fmt: skip
def test_random_rows_of_sequences(path, sequences, dialect, header):
    (separator, comma), newline = dialect
    labels = [str(k % 2) for k in range(len(sequences))]
    T = max(map(len, sequences))
    rows = [
        [label, *(_number(v, comma) for v in s), *[""] * (T - len(s))]
        for label, s in zip(labels, sequences, strict=True)
    ]
    first = [["label", *(f"t{k}" for k in range(T))]] if header else []
    path.write_text(_write(first + rows, separator, newline), "utf-8", newline="")
    found = read_table(path, label="label" if header else "column_1")
    assert _lists(found) == [[[v] for v in sequence] for sequence in sequences]
    assert found.labels == labels


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r", categories=("L", "N", "P", "Zs")),
                        min_size=1, max_size=12), min_size=2, max_size=8), dialects)  # fmt: skip
def test_random_text(path, texts, dialect):
    texts = [f"ö{text}" for text in texts]  # so that none is a number
    rows = [("text", "label"), *((text, f"l{k % 2}") for k, text in enumerate(texts))]
    path.write_text(_write(rows, dialect[0][0], dialect[1]), "utf-8", newline="")
    assert read_table(path).sequences == texts


@given(st.integers(1, 4).flatmap(lambda n: st.lists(
    st.lists(finite, min_size=n, max_size=n), min_size=2, max_size=8)), dialects, st.booleans(),
    st.randoms(use_true_random=False))  # fmt: skip
def test_random_series(path, values, dialect, header, random):
    (separator, comma), newline = dialect
    rows = [[k, *(_number(v, comma) for v in row)] for k, row in enumerate(values)]
    columns = [f"c{k}" for k in range(len(values[0]))]
    if header:
        random.shuffle(rows)
    first = [["time", *columns]] if header else []
    path.write_text(_write(first + rows, separator, newline), "utf-8", newline="")
    found = read_table(path, time="time" if header else "column_1")
    assert found.values.tolist() == values
    assert len(found.columns) == len(columns)


@given(st.lists(st.integers(1, 4).flatmap(
    lambda T: st.lists(st.lists(finite, min_size=2, max_size=2), min_size=T, max_size=T)),
    min_size=2, max_size=5))  # fmt: skip
def test_random_lists(path, sequences):
    x, y = ([[step[k] for step in s] for s in sequences] for k in (0, 1))
    path.write_bytes(_parquet(x=x, y=y, label=[k % 2 for k in range(len(sequences))]))
    assert _lists(read_table(path)) == sequences


# What is refused, each with its sentence

REFUSED = {
    "": " is empty: expected a CSV or Parquet file",
    " \n\r\n": " is empty: expected a CSV or Parquet file",
    ",,\n,,\n": " has empty rows only",
    "label,x\n": " has a header and no rows: expected rows of data below it",
    "a,b\n1,2\n": " has one row: expected two or more for a series",
    "1\n": " has one row: expected two or more for a series",
    "a,b\n1,2\n3,\n": ', line 3, column "b" is empty: fill it in or remove the row first',
    "a,b\n1,2\n3,NA\n": ', line 3, column "b" is "NA", a missing value: fill it in',
    "a,b\n1,2\n3,inf\n": ', line 3, column "b" is "inf", a missing value',
    "a\n1\n\n3\n": ', line 3, column "a" is empty',
    "a,b\n1,2\n\n3,4\n": ", line 3 is empty: remove the line",
    "a,b\n1,2\n3,x\n4,5\n": ', line 3, column "b" is "x": expected a number; correct it',
    "a,b\n1,2\n3,1e400\n4,5\n": ', line 3, column "b" is "1e400": expected a number',
    "a;b\n1,5;2.5\n3,5;4,5\n": ', line 3, column "b" is "4,5": expected a number',
    "\n\na,b\n1,2\n3,x\n4,5\n": ', line 5, column "b" is "x"',
    'label,x\n"a\nb",1\nc,?\nd,4\n': ', line 4, column "x" and all after it are empty',
    'label,x\n"a\nb",1\nc,zz\nd,4\n': ', line 4, column "x" is "zz"',
    "a,b\n1,2\n3,4,5\n": ", line 3 has 3 cells, line 1 has 2 (commas between them): expected as many",
    "a;b\n1;2\n3;4;5\n": ", line 3 has 3 cells, line 1 has 2 (semicolons between them)",
    "label,s1,s2,s3\nu,1,,3\nv,1,2,3\n": (
        ', line 2, column "s2" is empty: fill it in first, as the sequence goes on to column "s3"; '
        "only cells after its end may be empty"
    ),
    "label,s1,s2\nu,,\nv,1,2\n": ', line 2, column "s1" and all after it are empty: expected numbers',
    "label,x\nu,1\n,2\n": ', line 3, column "label" is empty',
    "label,x\nu,1\n?,2\n": ', line 3, column "label" is "?", a missing value',
    "label,x\n0.5,1\n1,2\n": ', line 2, column "label" is the label "0.5": expected names or whole',
    "label,x\n" + "".join(f"l{k},{k}\n" for k in range(300)): (
        ' has 300 different labels in "label" for 300 sequences, which looks like no label'
    ),
    "label,text\na,\nb,c\n": ', line 2, column "text" is empty',
    "label,city,x\na,Paris,1\nb,Rome,2\n": (
        ', line 2, column "city" is "Paris": expected a number; say what the column is with --label'
    ),
    "label,only\n": " has a header and no rows",
    "label\na\nb\n": " has no column of numbers beside label: expected one or more",
    "id,x,label\na,1,u\nb,2,u\na,3,v\n": (
        ', line 4, column "label" is "v", and sequence "a" began with "u": expected one label'
    ),
    "id,t,x,label\na,1,1,u\nb,1,2,v\na,1,3,u\n": ', line 4, column "t" is "1", as in line 2: expected',
    "id,x,label\na,1,u\n,2,u\na,3,u\n": ', line 3, column "id" is empty',
    "id,x,label\na,1,u\na,,u\nb,3,v\n": ', line 3, column "x" is empty',
    "id,x\na,1\na,2\nb,3\n": ' has rows of several sequences in "id", and no label column',
    "time,x,label\n1,1,u\n2,2,v\n": ' has the time "time" and the label "label", and no column that',
    "year,x\n2000,1\n2000,2\n": ', line 3, column "year" is "2000", as in line 2: expected a different',
    "date,x\n2020-01-01,1\nsoon,2\n": ', line 3, column "date" is "soon": expected a number, or a date',
    "date,x\n2020-01-01,1\n,2\n": ', line 3, column "date" is empty',
    "date,x\n02/01/2020,1\n01/02/2020,2\n03/01/2019,3\n": (
        ', line 2, column "date" is "02/01/2020", which may have the day or the month first'
    ),
    "a,b,a\n1,2,3\n": ', line 1 names 2 columns "a": expected different names',
    'a,b\n1,"2\n3,4\n': ', line 2 has a stray quotation mark: put quotation marks around whole cells',
    "{\"a\": [1, 2]}": " is JSON: expected a CSV or Parquet file",
    "<html></html>": " is HTML or XML: expected a CSV or Parquet file",
    b"a,b\n1,2\n\xe9,4\n": ", line 3 is not UTF-8: the byte 0xe9 came ('é' in Latin-1); save the file",
    b"a,b\n1,\0\n": ", line 2 has a zero byte, so it is no text",
    "a,b\n1,2\n".encode("utf-16"): " is text in UTF-16: expected a CSV or Parquet file; save it as CSV",
    b"PK\x03\x04rest": " is an Excel file or a zip archive: expected a CSV or Parquet file",
    b"\x89PNG\r\n": " is a PNG picture",
    b"\x1f\x8b\x08\0": " is compressed (gzip)",
    b"PAR1 and no more": " is damaged, or is no Parquet (",
    "x," * MOST_COLUMNS + "x\n1\n": f", line 1 has {MOST_COLUMNS + 1:,} cells: expected at most",
    "x\n" + "a" * 200_000 + "\nb\n": ', line 2, column "x" is "aaaaaaa',
}  # fmt: skip


@pytest.mark.parametrize("content", REFUSED, ids=lambda content: repr(content[:40]))
def test_refused(refused, content):
    assert refused(content).startswith(REFUSED[content])


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({"label": [], "x": []}, " has no rows: expected"),
        ({"label": ["a", "b"], "x": [[1, 2], [3]], "y": [[1, 2], [3, 4]]},
         ', row 2, column "y" has 2 values, column "x" has 1: expected lists of one length'),
        ({"label": ["a", "b"], "x": [[1, 2], [3, None]]},
         ', row 2, column "x" has no number as its value 2 of 2: fill it in'),
        ({"label": ["a", "b"], "x": [[1, 2], [None, 3]]},
         ', row 2, column "x" has no number as its value 1 of 2'),
        ({"label": ["a", "b"], "x": [[1, 2], []]},
         ', row 2, column "x" is empty: expected a list of one number or more'),
        ({"label": ["a", "b"], "x": [None, [1]]}, ', row 1, column "x" is empty'),
        ({"label": ["a", "b"], "x": [["1"], ["2"]]}, ', row 1, column "x" is List(String): expected a list'),
        ({"label": ["a", "b"], "x": [[1], [2]], "z": [1, 2]}, ', row 1, column "z" is Int64: expected a list'),
        ({"label": [[1], [2]], "x": [1, 2]}, ' has List(Int64) in column "label": expected text'),
        ({"label": [1.5, 2.5], "x": [1, 2]}, ', row 1, column "label" is the label "1.5"'),
        ({"x": [1, None]}, ', row 2, column "x" is empty'),
        ({"x": [1.0, float("nan")]}, ', row 2, column "x" is "nan", a missing value'),
        ({"x": [b"a", b"b"]}, ', row 1, column "x" is "b\'a\'": expected a number'),
    ],
)  # fmt: skip
def test_refused_in_parquet(refused, columns, sentence):
    assert refused(_parquet(**columns), "data.parquet").startswith(sentence)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"label": "clas"}, ' has no column "clas", named with --label: expected one of id, t, x, y, class'),
        ({"features": ["x", "q"]}, ' has no column "q", named with --features'),
        ({"label": "class", "sequence": "class"}, ' has the column "class" named with --label and --sequence'),
        ({"label": "class", "target": "x"}, " is asked for a label and a target"),
        ({"label": "x", "sequence": "id", "features": "y"}, ', line 4, column "x" is "1", and sequence "b"'),
    ],
)  # fmt: skip
def test_refused_options(refused, options, sentence):
    assert refused(LONG, **options).startswith(sentence)


def test_a_long_list_of_columns_is_shortened(refused):
    content = ",".join(f"c{k}" for k in range(2000)) + "\n" + ",".join(["1"] * 2000) + "\n"
    assert refused(content, label="q").endswith("c0, c1, c2, c3, c4, c5, …, c1999 (2,000 columns)")


def test_what_is_no_file(tmp_path, monkeypatch):
    def denied(self):
        raise PermissionError(13, "Permission denied")

    with pytest.raises(un.UnrolledError, match="cannot be read: it is a folder"):
        read_table(tmp_path)
    with pytest.raises(un.UnrolledError, match=r"none.csv cannot be read: No such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(un.UnrolledError, match="cannot be read"):
        read_table("a\0b")
    (tmp_path / "data.csv").write_text(WIDE)
    monkeypatch.setattr("pathlib.Path.read_bytes", denied)
    with pytest.raises(un.UnrolledError, match=r"data.csv cannot be read: Permission denied"):
        read_table(tmp_path / "data.csv")


def _read_or_refused(path):
    """Return the sentence that refuses a file, or nothing."""
    try:
        read_table(path)
    except un.UnrolledError as error:
        return str(error)
    return str(path)


@given(st.data())
def test_a_damaged_parquet_is_read_or_refused(path, data):
    raw = bytearray(_parquet(label=["a", "b"] * 20, x=list(range(40))))
    for _ in range(data.draw(st.integers(1, 8))):
        raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(bytes(raw[: data.draw(st.integers(20, len(raw)))]))
    assert _read_or_refused(path).startswith(str(path))


@given(st.binary(max_size=60), st.text(',;\t\n\r"a1.-? ', max_size=60))
def test_any_bytes_are_read_or_refused(path, raw, text):
    for content in (raw, text.encode()):
        path.write_bytes(content)
        sentence = _read_or_refused(path)
        assert sentence.startswith(str(path))
        assert "\n" not in sentence


# Boundaries


def test_the_smallest(read):
    assert _lists(read("label,x\na,1\nb,2\n")) == [[[1.0]], [[2.0]]], "T = 1"
    assert read("1\n2\n").values.tolist() == [[1.0], [2.0]], "one column"
    found = read("id,x,label\na,1,u\nb,2,v\n", sequence="id")
    assert _lists(found) == [[[1.0]], [[2.0]]], "one step each, as the sequence was said"
    found = read("id,label,s1,s2\n1,u,3,4\n2,v,5,6\n")
    assert _lists(found) == [[[3.0], [4.0]], [[5.0], [6.0]]], "an id that numbers the rows"
    assert '"id" is another one in every row and is left out' in found.read_as


def test_polars_waits_for_the_first_table():
    code = "import sys, unrolled.data.named; assert 'polars' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


# Data sets by name


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    found = digits()
    assert len(found.sequences) == len(found.labels) == 1797
    assert found.features == tuple(f"pixel {k}" for k in range(8))
    assert sorted(set(found.labels)) == list("0123456789")
    assert np.array_equal(np.stack(found.sequences) * 16, load_digits().images)
    assert found.sequences[0].shape == (8, 8)
    assert (np.min(found.sequences), np.max(found.sequences)) == (0, 1)


def test_sunspots_are_the_known_ones():
    found = sunspots()
    assert found.values.shape == (309, 1)
    assert found.values[:4, 0].tolist() == [5, 11, 16, 23]
    assert found.values[-1, 0] == 2.9
    assert found.targets == ("SUNACTIVITY",)


@pytest.mark.parametrize(
    ("name", "package"), [("digits", "sklearn.datasets"), ("sunspots", "statsmodels")]
)
def test_a_data_set_whose_package_is_not_there(monkeypatch, name, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(un.UnrolledError, match=r"comes with .*: pip install 'unrolled\[data\]'"):
        DATA_SETS[name].read()


def test_each_data_set_says_what_it_is():
    assert set(DATA_SETS) == {"names", "digits", "sunspots"}
    for data_set in DATA_SETS.values():
        for line in (data_set.description, data_set.source, data_set.licence):
            assert line
            assert "\n" not in line
