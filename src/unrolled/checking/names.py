"""The usual spellings: which of the legend's quantities a person's name may stand for.

Case, underscores and a trailing `t` or `s` do not matter. Beside the legend's names there are
pseudo-names for weights that people keep in one array, with the gradients `d` + name:

- "W_f", "W_a", … the weights [W_fa W_fx] of one gate, columns [a; x] or [x; a] (`a`: of the plain cell);
- "W" all gates' [a; x] weights, one gate under the other; "W_h" and "W_x" all gates' recurrent and
  all gates' input weights; "b" all gates' biases. The order of the gates is not in the name;
- "W_ur", "W_ura", "W_urx", "b_ur" the same of some of the gates, here of two of the GRU's.
"""

import functools
import itertools
import re
from collections.abc import Iterable, Mapping

GATES = {"rnn": "a", "lstm": "fico", "gru": "urc"}
"""The letters of each cell's gates, in the order in which stacked arrays are put together."""

STARTS = ("a0", "c0")
"""The initial states, which may be learned like weights."""

_LETTERS = {  # what people call a gate, in the names of weights, biases and pre-activations
    "rnn": {"a": "a", "h": "a", "s": "a"},
    "lstm": {"f": "f", "i": "i", "c": "c", "g": "c", "o": "o"},
    "gru": {"u": "u", "z": "u", "r": "r", "c": "c", "h": "c", "g": "c", "n": "c"},
}

_GATE_WORDS = {  # what people write out
    "rnn": {},
    "lstm": {"forget": "f", "input": "i", "in": "i", "inp": "i", "update": "i", "cell": "c", "cand": "c",
             "candidate": "c", "memory": "c", "output": "o", "out": "o"},
    "gru": {"update": "u", "upd": "u", "reset": "r", "rst": "r", "cand": "c", "candidate": "c", "new": "c",
            "hidden": "c", "memory": "c"},
}  # fmt: skip

_LEADS = {  # what the words beside `W`, `kernel` or `bias` say of where weights come from or lead to
    "y": "out output outputs y o tag tags dec decoder head heads proj projection cls classifier logit logits "
         "softmax dense fc linear lin readout pred vocab emit emission class classes score scores label labels",
    "x": "in inp input inputs x i emb embed embedding",
    "a": "rec recur recurrent hid hidden h a s state states hh aa self loop recurrence",
    "": "gate gates all joint joined stacked cell lstm gru rnn",
}  # fmt: skip
_OF_DATA = {
    "class",
    "classes",
    "score",
    "scores",
    "label",
    "labels",
}  # `class_weights` is no network's
_MATRIX_WORDS = {"w", "wt", "weight", "weights", "kernel", "matrix", "mat"}
_BIAS_WORDS = {"b", "bias", "biases", "intercept"}

_COMMON = {
    "a": "a h s st hidden hiddens hiddenstate hiddenstates state states anext nexth nexta hnext snext "
         "at ht hs as acur hcur hnew anew newh a1 h1 allh hout hseq aseq hlast hfinal finalstate",
    "a_prev": "aprev prevh preva hprev sprev prevstate prevs stateprev ap hp htm1 hold prevhidden "
              "hiddenprev hprevious lasth ht1 before previous prior",
    "a0": "a0 h0 s0 hinit inith initialstate initstate initialh hstart astart firsth hiddeninit",
    "x": "x xt xs input inputs xseq seq sequence inp xtt",
    "y_hat": "yhat ypred ytpred yhats ypreds ps p probs prob pt pred preds prediction predictions "
             "predicted proba probabilities yprob yhatt",
    "z_y": "zy zyt zty logits logit scores zyseq yraw q qt",
    "loss": "loss cost j e totalloss totalcost totalerror l crossentropy",
}  # fmt: skip

_CELLS = {
    "rnn": {"z_a": "z za zt zat zta zh raw hraw preact preactivation net z1 hpre ahat prea"},
    "lstm": {
        "c": "c ct cs cnext nextc cell cellstate cellstates cells cnew newc cout c1 clast cfinal",
        "c_prev": "cprev prevc cp ctm1 cold cellprev prevcell prevcellstate",
        "c0": "c0 cinit initc cstart",
        "tanh_c": "tanhc tanhct tanhcnext ctanh ctanht",
        "f": "f ft fs fg fgate forget forgetgate gf gammaf hf",
        "i": "i it is ig igate inputgate gi gammai hi",
        "o": "o ot os og ogate outputgate go gammao ho",
        "c_tilde": "cct cc ctilde ctildet cbar chat cand candidate ccand g gt gs gg gc cctt cdash",
    },
    "gru": {
        "u": "u ut us ug ugate z zt zs zg zgate update updategate gu gammau hz hu",
        "r": "r rt rs rg rgate reset resetgate gr gammar hr",
        "c_tilde": "cct cc ctilde cbar chat cand candidate c ct cs hcand htilde httilde hbar hhat htil "
                   "hcandidate hh n nt ng hproposed",
        "a_reset": "rh ra areset hreset rhprev raprev hr",
    },
}  # fmt: skip

_CARRIED = {  # what one step hands to the step before
    "a": "danext dhnext dsnext dnexth dnexta dprevh dpreva dhprev daprev daprevt dsprev danextt "
         "dhiddenprev dprevhidden dhcarry",
    "c": "dcnext dnextc dprevc dcprev dcprevt dcnextt",
}  # fmt: skip

_BEGINS = re.compile(
    r"(?P<when>last|start|starting|first|old|init|initial|begin|given|carried|prev|previous|before|zero)?"
    r"(?P<state>hidden|state|cell|[ahsc])"
    r"(?P<then>last|start|first|old|init|initial|begin|given|carried|prev|previous|before|zero|0)?"
)
"""What names that no table has say of the state that they begin with: `cell_before`, `first_h`."""

_PREFIX = re.compile(r"(?:d[ljec]d|grads?|gradients?|delta|g(?=w[a-z]|b[a-z]))(?=.)|d(?=.)")


def _table(cell: str) -> dict[str, list[str]]:
    spellings: dict[str, list[str]] = {}
    for source in (_CELLS[cell], _COMMON):
        for quantity, words in source.items():
            for word in words.split():
                spellings.setdefault(word, []).append(quantity)
    return spellings


_TABLES = {cell: _table(cell) for cell in GATES}


_INSIDE_RESET = ("bca", "bhn", "bch", "bhc", "bhhn")  # the GRU's second bias of the candidate


@functools.cache
def meanings(name: str, cell: str) -> tuple[str, ...]:
    """Return the legend's (and pseudo-) names that a person's name may stand for, best first.

    `cell` is "rnn", "lstm" or "gru". Empty where the name says nothing.
    """
    word = re.sub(r"[^0-9a-z]", "", name.lower())
    if not word or name in {"T", "N", "D", "H", "M", "m", "n", "t", "k", "e"}:
        return ()
    if cell == "gru" and word.removeprefix("d") in _INSIDE_RESET:
        return ("db_ca" if word[0] == "d" else "b_ca",)
    found = _weight(name, cell) or _plain(word, cell) or _gradient(name, word, cell)
    return tuple(dict.fromkeys(found))


def _plain(word: str, cell: str) -> list[str]:
    if word in ("y", "ys", "yt"):
        return ["z_y", "y_hat", "y"] if word == "ys" else ["y_hat", "z_y", "y"]
    if word in ("o", "out", "outs", "output", "outputs", "ot", "os") and cell != "lstm":
        return ["y_hat", "z_y", "a"]
    table = _TABLES[cell]
    for spelling in (word, word.rstrip("s"), word.rstrip("ts"), word.removesuffix("cache")):
        if spelling in table:
            return table[spelling]
    match = re.fullmatch(r"(?:z|a|pre|net|raw)(\w)t?|(\w)t?(?:z|pre|raw|hat|in)|zt(\w)", word)
    letter = next(filter(None, match.groups()), "") if match else ""
    gate = _LETTERS[cell].get(letter)
    return [f"z_{gate}"] if gate else _beginning(word, cell)


def _beginning(word: str, cell: str) -> list[str]:
    """Return the initial state that a name is put together for: one of both ends says when."""
    match = _BEGINS.fullmatch(word)
    if match is None or not (match["when"] or match["then"]):
        return []
    of_cell = match["state"] in ("c", "cell")
    return [] if of_cell and cell != "lstm" else ["c0" if of_cell else "a0"]


def _gradient(name: str, word: str, cell: str) -> list[str]:
    for state, words in _CARRIED.items():
        if {word, word.rstrip("t")} & set(words.split()) and (state == "a" or cell == "lstm"):
            return [f"d{state}_prev", f"d{state}_next", f"d{state}"]
    if word in ("day", "dhy", "dsy"):
        return ["da_y"]
    if word in ("dtanh", "dhraw", "draw", "dpre", "dz", "dzt", "dzta", "dz1") and cell == "rnn":
        return ["dz_a"]
    if word in ("dy", "dys", "dyt", "dout", "douts", "do") and not (
        word == "do" and cell == "lstm"
    ):
        return ["dz_y", "dy_hat", "da"] if word[:3] != "dou" else ["da", "dz_y"]
    match, rest = _PREFIX.match(word), ""
    if match:
        rest = word[match.end() :]
    elif word.endswith("grad"):
        rest = word.removesuffix("grad")
    if not rest:
        return []
    kept = _rest(name, len(rest)) if not word.endswith("grad") else name[: len(rest)]
    inner = _weight(kept, cell) or _plain(rest, cell)
    gates = set(_CELLS[cell]) - {"c", "c_prev", "c0", "z_a", "tanh_c", "a_reset"}
    found = []
    for quantity in inner:
        both = [f"d{quantity}", f"dz_{quantity[0]}"] if quantity in gates else [f"d{quantity}"]
        # the course's dft is the gradient at the pre-activation; df may be either
        found += both[::-1] if rest[-1:] == "t" else both
    return [q for q in found if q not in ("dloss", "dy")]


def _rest(name: str, letters: int) -> str:
    """Return the end of a name that has this many letters and digits."""
    k = len(name)
    while letters:
        k -= 1
        letters -= name[k].isalnum()
    return name[k:]


def _weight(name: str, cell: str) -> list[str]:
    word = re.sub(r"weights?", "w", re.sub(r"[^0-9a-z]", "", name.lower()))
    word = re.sub(r"bias(es)?", "b", re.sub(r"l0$", "", word))
    if word == "c" and cell == "rnn" and name[:1] == "c":
        return ["b_y"]
    if word in ("b", "w", "u", "v", "wlstm", "wgru", "wrnn", "wall"):
        return _single(name, word, cell)
    match = re.fullmatch(r"([wubrv])_?(\w+)", word)
    if not match or (match[1] in "rv" and name[0].islower()):
        return _by_words(name, cell)
    kind, rest = match.groups()
    found = _bias(rest, cell) if kind == "b" else _matrix(kind, rest, cell)
    return found or _by_words(name, cell)


def _by_words(name: str, cell: str) -> list[str]:
    """Return what a name stands for whose words say where weights lead: `w_rec`, `W_tag`, `W_x_forget`,
    `h2o_weight`, `b_zr`.
    """
    words = re.sub(r"([a-z])(?=[A-Z])", r"\1_", name).replace("2", "_").lower().split("_")
    words = [word for word in words if word not in ("", "to")]
    kinds = (
        _MATRIX_WORDS
        | _BIAS_WORDS
        | ({name[:1].lower()} & set("urv") if name[0].isupper() else set())
    )
    if words and words[0] not in kinds and words[-1] not in kinds and words[0][0] in kinds:
        words[:1] = [words[0][0], words[0][1:]]  # bout, Wrec
    if len(words) < 2 or not kinds & {words[0], words[-1]}:
        return []
    first = words[0] in kinds
    kind, rest = words[0 if first else -1], words[1:] if first else words[:-1]
    if not first and _OF_DATA & set(rest):
        return []
    told = [_told(word, cell) for word in rest]
    options = [_put_together(kind, one, cell) for one in itertools.product(*told)]
    options += [
        f"{q}x" for q in options if q[:2] == "W_" and set(q[2:]) <= set(GATES[cell]) - {"a"}
    ]
    return list(dict.fromkeys(option for option in options if option))


def _told(word: str, cell: str) -> list[tuple[str, str]]:
    """Return what a word in a weight's name may say: ("gate", "f"), ("gate", "ur"), ("side", "x")."""
    letters = _LETTERS[cell] | _GATE_WORDS[cell]
    gates = [letters[word]] if word in letters and cell != "rnn" else []
    several = {letters.get(letter, "") for letter in word}
    if cell != "rnn" and len(several) == len(word) > 1 and "" not in several:
        gates.append("".join(g for g in GATES[cell] if g in several))
    sides = [side for side, words in _LEADS.items() if word in words.split()]
    both = [[("gate", gate) for gate in gates], [("side", side) for side in sides]]
    return [one for found in (both[::-1] if "y" in sides else both) for one in found]


def _put_together(kind: str, told: Iterable[tuple[str, str]], cell: str) -> str:
    """Return the (pseudo-) name of weights from what each word says, "" where that does not fit together."""
    gates = [what for of, what in told if of == "gate"]
    sides = [what for of, what in told if of == "side" and what]
    if len(gates) > 1 or ("y" in sides and gates):
        return ""
    if "y" in sides:
        return "b_y" if kind in _BIAS_WORDS else "W_ya"
    all_of_them = GATES[cell] if cell == "rnn" else ""
    letters, whole = (gates or [all_of_them])[0], cell != "rnn" and gates in ([], [GATES[cell]])
    if kind in _BIAS_WORDS:
        return "b" if whole else f"b_{letters}"
    side = "x" if "x" in sides else "a" if sides or kind in ("u", "r") else ""
    if whole:
        return {"x": "W_x", "a": "W_h", "": "W"}[side]
    return f"W_{letters}{side}"


def _single(name: str, word: str, cell: str) -> list[str]:
    if name[:1].islower() and word in ("u", "v", "w"):
        return []
    if word == "v":
        return ["W_ya"]
    if cell == "rnn":
        return {"b": ["b_a"], "u": ["W_aa", "W_ax"]}.get(word, ["W_aa", "W_ax", "W_a"])
    if cell == "gru" and word == "u":
        return []  # the update gate's values as a rule
    return {"b": ["b"], "u": ["W_h", "W_x"]}.get(word, ["W", "W_x"])


def _bias(rest: str, cell: str) -> list[str]:
    if rest in ("y", "q", "out", "v", "hy", "ya", "yh", "dense", "output"):
        return ["b_y", *(["b_o"] if cell == "lstm" and rest in _GATE_WORDS[cell] else [])]
    if rest in ("o", "2") and cell != "lstm":
        return ["b_y"]
    letters = _LETTERS[cell]
    if rest in letters:
        return [f"b_{letters[rest]}", *(["b"] if rest == "g" else [])]
    if cell == "rnn":
        return ["b_a"] if rest in ("ih", "hh", "xh", "hidden", "1", "aa", "ax", "rnn", "in") else []
    if cell == "lstm" and rest[:1] in ("i", "x", "h") and rest[1:] in letters:
        return [f"b_{letters[rest[1:]]}"]
    if rest in ("ih", "hh", "xh"):
        return ["b"]
    return ["b"] if rest in ("lstm", "gru", "gates", "all", "1", "h", "a") else []


def other_bias(name: str, names: Iterable[str]) -> str:
    """Return, for one of two biases that are added (`b_ih` and `b_hh`), the other one's name, or ""."""
    match = re.fullmatch(r"(b_?|bias_?)([ixh])(\w?)(_l0)?", name)
    if not match:
        return ""
    before, side, rest, end = match.groups("")
    beside = "ix" if rest else "x"  # b_i alone is a gate's
    others = [f"{before}{s}{rest}{end}" for s in (beside if side == "h" else "h")]
    return next((other for other in others if other in set(names)), "")


def gate_of(name: str, cell: str) -> str:
    """Return the letter of the gate that a part of a name says: "u" of `W_update`; "a" for the plain cell."""
    letters = _LETTERS[cell] | _GATE_WORDS[cell]
    words = re.sub(r"([a-z])(?=[A-Z])", r"\1_", name).lower().split("_")
    found = {letters[w] for w in words[_is_kind(words[0]) :] if w in letters}
    return "a" if cell == "rnn" else found.pop() if len(found) == 1 else ""


def _is_kind(word: str) -> bool:
    return word in ("w", "u", "v", "r", "b", "weight", "weights", "bias", "biases")


def _matrix(kind: str, rest: str, cell: str) -> list[str]:
    if rest in ("y", "ya", "hy", "yh", "ay", "sy", "hq", "out", "v", "dense", "output"):
        of_gate = ["W_o", "W_ox"] if kind == "w" else ["W_oa", "W_ox"]
        return ["W_ya", *(of_gate if cell == "lstm" and rest in _GATE_WORDS[cell] else [])]
    if cell == "rnn":
        return _plain_matrix(rest)
    if cell == "gru" and rest == "o":
        return ["W_ya"]
    letters = _LETTERS[cell]
    for gate, source in (rest[:1], rest[1:]), (rest[-1:], rest[:-1]):
        if gate in letters and source in ("a", "h", "s", "x"):
            own = f"W_{letters[gate]}{'x' if source == 'x' else 'a'}"
            return [own, *({"ih": ["W_x"], "hh": ["W_h"]}.get(rest, []))]
    if rest[:1] == "i" and rest[1:] in letters and rest != "ih":
        return [f"W_{letters[rest[1:]]}x", *(["W_x"] if rest == "in" else [])]
    stacked = {
        "x": ["W_x"],
        "ih": ["W_x"],
        "h": ["W_h"],
        "a": ["W_h"],
        "hh": ["W_h"],
        "xh": ["W_x"],
        "g": ["W", "W_x"] if kind == "w" else ["W_h"],
    }
    if kind in ("u", "r", "v") and rest in letters:
        found = [f"W_{letters[rest]}a", f"W_{letters[rest]}x"]
        return found + (["W_h"] if rest == "g" else [])
    if rest in letters:
        return [f"W_{letters[rest]}", f"W_{letters[rest]}x", *stacked.get(rest, [])]
    if rest in ("gates", "all", "lstm", "gru", "ifog"):
        return ["W", "W_x"] if kind == "w" else ["W_h", "W_x"]
    return stacked.get(rest, [])


def _plain_matrix(rest: str) -> list[str]:
    if rest in ("aa", "hh", "ss", "rec", "h", "a", "s", "recurrent", "hidden"):
        return ["W_aa"]
    if rest in ("ax", "xa", "xh", "hx", "x", "in", "sx", "xs", "ih", "hi", "input"):
        return ["W_ax"]
    return ["W_ya"] if rest in ("ho", "oh", "o", "ah", "2") else []


def resolve(names: Iterable[str], cell: str, known: Mapping[str, str]) -> dict[str, str]:
    """Return, for names of weights and biases that belong together, what each stands for.

    `known` are those about which there is no doubt. `Wf` beside `Uf` are the input weights, alone it is [W_fa W_fx]; `Wh` beside `Wz` is the
    candidate's. Names that are no weights are left out.
    """
    options = {name: [q for q in meanings(name, cell) if is_parameter(q)] for name in names}
    if "U" in options and not options["U"]:
        options["U"] = ["W_h", "W_x"]  # it is known to be no gate
    options = {name: found for name, found in options.items() if found}
    apart = {known.get(name, found[0]) for name, found in options.items()}
    if _lacks_output_gate(apart):  # W_output is its, beside W_forget
        options = {name: sorted(found, key="W_ya b_y".count) for name, found in options.items()}
        apart = {known.get(name, found[0]) for name, found in options.items()}
    if _has_all_gates(apart, cell):  # then W_o is that of the output
        outputs = {"W_o": "W_ya", "b_o": "b_y"}
        options = {n: [outputs[f[0]]] if f[0] in outputs else f for n, f in options.items()}
    chosen = {name: quantity for name, quantity in known.items() if name in options}
    doubtful = [item for item in options.items() if item[0] not in known]
    for name, found in sorted(doubtful, key=lambda item: len(item[1])):
        chosen[name] = _best(name, found, apart, set(chosen.values()), cell)
    return chosen | _added_biases(chosen)


def _added_biases(chosen: Mapping[str, str]) -> dict[str, str]:
    """Return the biases that are named as the weights of all gates are: `bx` and `bh` beside `Wx`, `Wh`."""
    words = {name.lower().replace("_", ""): name for name in chosen}
    stacked = [word[1:] for word, name in words.items() if chosen[name] in ("W_x", "W_h")]
    biases = [words[f"b{rest}"] for rest in stacked if rest and f"b{rest}" in words]
    return dict.fromkeys(biases, "b") if len(biases) == 2 else {}


def _lacks_output_gate(apart: set[str]) -> bool:
    gates = {q[2] for q in apart if q[:2] == "W_" and q[2] in "fico"}
    return {"f", "i"} <= gates and "o" not in gates and len(apart) > 3


def _has_all_gates(apart: set[str], cell: str) -> bool:
    """Whether all gates are in one array, and nothing is that of an output."""
    whole = "W" in apart or {"W_x", "W_h"} <= apart
    gates = {q[2] for q in apart if q[:2] == "W_" and q[2] in "fi"}
    return cell == "lstm" and whole and not gates and "W_ya" not in apart


def _best(name: str, found: list[str], apart: set[str], taken: set[str], cell: str) -> str:
    for one, other in (("W_x", "W_h"), ("W_h", "W_x")):
        if one in apart | taken and other in found:
            return other
    gates_apart = any(q in apart for g in GATES[cell] for q in (f"b_{g}", f"W_{g}", f"W_{g}x"))
    free = [quantity for quantity in found if quantity not in taken]
    free = [q for q in free if not (q[-1] in "ax" and q[:-1] in taken)]  # W_cx is in W_c
    free = [q for q in free if q == "W" or f"{q}a" not in apart]  # W_f beside U_f
    joined = ("W_h", "W_x", "W") if gates_apart and len(found) > 1 else ()
    return next((q for q in free if q not in joined), (free or found)[0])


@functools.cache
def gradient_words(name: str) -> frozenset[str]:
    """Return what the gradient of a weight of this name may be called, without underscores."""
    word = name.lower().replace("_", "")
    leads = ("d", "g", "grad", "grads", "dld", "djd", "ded", "delta", "gradient", "nabla")
    return frozenset({f"{d}{word}" for d in leads} | {f"{word}grad"})


def is_parameter(quantity: str) -> bool:
    """Return whether a (pseudo-) name stands for weights or a bias."""
    return quantity[:2] in ("W_", "b_") or quantity in ("W", "b")
