"""What a person's arguments mean, by their names and uses: inputs, targets, states, weights, sizes, caches."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from unrolled.checking.calling import flow
from unrolled.checking.calling.entries import Entry, last_word
from unrolled.checking.names import is_parameter, meanings

_SIZES = {
    "n_a": "n_a na n_h nh h hidden hidden_size hidden_dim n_hidden num_hidden hidden_units n_units units "
           "hiddensize hdim rnn_size cell_size state_size hidden_layer_size num_units hidden_dimension "
           "h_size n_states num_states n_neurons hidden_nodes hidden_cnt mem_cell_ct n_hid hid dim_hidden hid_size hid_dim",
    "n_x": "n_x nx d input_size input_dim n_in n_input n_inputs in_dim n_features num_features x_dim "
           "x_size features input_dimension num_inputs in_size inputs_size feature_dim dim_in embed_size n_i",
    "n_y": "n_y ny output_size output_dim n_out n_output n_outputs n_classes num_classes c k n_labels "
           "y_size out_dim y_dim output_dimension num_outputs num_labels out_size dim_out o n_o "
           "num_tags n_tags tag_size tagset_size num_targets n_targets target_size",
    "vocabulary": "vocab_size v n_vocab voc_size n_chars n_letters n_symbols n_tokens word_dim vocab "
                  "alphabet_size char_size dict_size num_chars vocabulary_size vocab_length n_char "
                  "n_words num_symbols vocab_len n_characters unique_chars",
    "m": "m batch_size batch n b n_batch bs n_samples num_samples batchsize m_batch minibatch n_examples",
    "T": "t t_x tx seq_len seq_length time_steps timesteps n_steps num_steps length l sequence_length "
         "window seqlen steps t_max n_t time n_timesteps t_y ty max_time",
    "truncate": "bptt_truncate truncate bptt_steps truncation bptt_len k1 k2",
}  # fmt: skip
_SIZE_OF = {word: size for size, words in _SIZES.items() for word in words.split()}

_WORDS = {
    "y": "y ys yt ts target targets label labels ytrue truth yt tgt expected groundtruth ylabels t ytrain "
         "ytarget onehottargets correct",
    "parameters": "parameters params param theta weights p model w network net wb coefficients",
    "cache": "cache caches mem memory memories tape saved ctx context history store stored cachelist "
             "forwardcache fwd intermediate intermediates values forwardpass tmp trace",
    "upstream": "da dh dhs dout douts das dA delta gradoutput upstream dhidden ds dhout gradh grada gradhs "
                "dupstream dlda dldh dhidden dhseq dhup dnexth danext dhnext dnexta dht dat doutput",
    "upstream_c": "dc dnextc dcnext dct dcs dcup",
    "lengths": "lengths lens seqlens seqlengths sequencelengths inputlengths xlens xlengths",
    "mask": "mask masks ymask targetmask weightmask",
    "rate": "learningrate learnrate lr alpha eta rate stepsize",
}  # fmt: skip
_DECORATIONS = "data train tr training batch batches seq seqs sequence sequences all set arr array my mini " \
               "cur current sample samples example examples"  # fmt: skip
_WORD_OF = {
    word.lower(): role for role, words in reversed(_WORDS.items()) for word in words.split()
}


MAKERS = {"randn", "rand", "zeros", "ones", "empty", "normal", "uniform", "standard_normal"}


def size_meaning(name: str) -> str:
    """Return the legend's size ("n_a", …), "vocabulary" or "truncate" that a name says; or ""."""
    return _SIZE_OF.get(name.lower().strip("_"), "")


def role(name: str, entry: Entry, cell: str, results: Iterable[str], first: bool) -> str:
    """Return what an argument is to be given.

    "x", "y", "a" and "c" (initial states), "states a c" (a tuple of them), "upstream", "dz_y",
    "upstream_c", "parameters", "cache", "rate", "lengths" (of the sequences), "mask" (1 where there is
    a target), "size n_a", "weight W_aa", "result h" (what came back as h), or "" where nothing is
    known. `first`: nothing ran before, so there are no results.
    """
    plain = undecorated(name)
    found = _role(name, entry, cell, results, first)
    return found if found or plain == name else _role(plain, entry, cell, (), first)


def _role(name: str, entry: Entry, cell: str, results: Iterable[str], first: bool) -> str:
    word = re.sub(r"[^0-9a-z]", "", name.lower())
    if not first and (known := result_name(name, cell, results)):
        return f"result {known}"
    found = meanings(name, cell)
    if (size := _size(name, entry)) and _is_in_a_shape(name, entry):
        return size
    if not first and is_cache(name):
        return "cache"
    if holds_weights(name, entry.closure, cell):
        return "parameters"
    if found[:1] and is_parameter(found[0]) and not (word == "w" and not first and entry.owner):
        return f"weight {name}"
    if not first and found[:1] == ("dz_y",):
        return "dz_y"
    if (known := _WORD_OF.get(word, "")) and not (
        first and known in ("cache", "upstream", "upstream_c")
    ):
        return known if known != "y" or "x" not in found else "x"
    if found[:1] == ("x",):
        return "x"
    if states := _states(name, entry, cell):
        return f"states {' '.join(states)}"
    states = [*_of_states(found), *_begins(name, entry, cell)]
    return states[0] if states else _size(name, entry)


def undecorated(name: str) -> str:
    """Return a name without the words that say nothing of what it is: x_data, batch_y, X_train."""
    words = [word for word in re.split(r"_+", name) if word]
    kept = [word for word in words if word.lower() not in _DECORATIONS.split()]
    return "_".join(kept or words)


def _of_states(quantities: Iterable[str]) -> list[str]:
    """Return "a" for a, a_prev and a0, "c" for those of the cell state; nothing for others."""
    return [q for q in (q.removesuffix("_prev").removesuffix("0") for q in quantities) if q in "ac"]


def _begins(name: str, entry: Entry, cell: str) -> Iterator[str]:
    """Yield the states that begin with an argument: `c[-1] = before`, `c = before`, `cs = [before]`."""
    for target, value in flow.assigned(entry.node):
        first = value.elts[:1] if isinstance(value, ast.List) else [value]
        if isinstance(value, ast.Dict):
            first = value.values[:1]
        if any(getattr(flow.unshaped(v), "id", "") == name for v in first):
            yield from _of_states(meanings(last_word(target), cell)[:1])


def _size(name: str, entry: Entry) -> str:
    size = size_meaning(name)
    return f"size {size}" if size and not is_array(name, entry.closure) else ""


def _is_in_a_shape(name: str, entry: Entry) -> bool:
    """Return whether a name says how large an array is made: `randn(H, V)`, `zeros((H, 1))`."""
    for node in ast.walk(entry.node):
        if isinstance(node, ast.Call) and last_word(node.func) in MAKERS:
            given = [n for a in node.args for n in (a.elts if isinstance(a, ast.Tuple) else [a])]
            if any(isinstance(n, ast.Name) and n.id == name for n in given):
                return True
    return False


def is_cache(name: str) -> bool:
    """Return whether a name says that it holds what the forward keeps for the backward."""
    return _WORD_OF.get(re.sub(r"[^0-9a-z]", "", name.lower())) == "cache"


def is_array(name: str, functions: Sequence[ast.FunctionDef]) -> bool:
    """Return whether a name is indexed, has axes or is gone through: it is no size."""
    for f in functions:
        for node in ast.walk(f):
            if isinstance(node, ast.Subscript | ast.Attribute | ast.For | ast.comprehension):
                held = node.iter if isinstance(node, ast.For | ast.comprehension) else node.value
                if isinstance(held, ast.Name) and held.id == name:
                    return True
    return False


def result_name(name: str, cell: str, results: Iterable[str]) -> str:
    """Return the result that an argument is: of the same name, the same but for a plural, or the only
    one of the same meaning; or "".
    """
    known = list(results)
    if name in known:
        return name
    single = {n.lower().replace("_", "").removesuffix("s"): n for n in known}
    if len(known) > 3 and (plural := single.get(name.lower().replace("_", "").removesuffix("s"))):
        return plural
    meaning = meanings(name, cell)[:1]
    if _WORD_OF.get(name.lower().replace("_", "")) == "y":
        return ""
    alike = [n for n in known if meanings(n, cell)[:1] == meaning in (("y_hat",), ("z_y",))]
    return alike[0] if len(alike) == 1 else ""


def _states(name: str, entry: Entry, cell: str) -> list[str]:
    """Return the states that an argument holds as a tuple, as in `h, c = state`."""
    for f in entry.closure:
        for node in ast.walk(f):
            if isinstance(node, ast.Assign) and getattr(node.value, "id", None) == name:
                target = node.targets[0]
                words = [last_word(e) for e in target.elts] if isinstance(target, ast.Tuple) else []
                found = [
                    q[:1]
                    for w in words
                    for q in meanings(w.lower(), cell)[:1]
                    if q[:1] in ("a", "c")
                ]
                if found and len(found) == len(words):
                    return found
    return []


def holds_weights(name: str, functions: Sequence[ast.FunctionDef], cell: str) -> str:
    """Return how an argument holds weights: "dict", "tuple", "object", or "" where it does not."""
    names = flow.aliases(name, functions) - {"self"}
    for f in functions:
        if any(_weight_word(key, cell) for key in _keys(f, names, {})):
            return "dict"
        for node in ast.walk(f):
            if getattr(getattr(node, "value", None), "id", None) not in names:
                continue
            if isinstance(node, ast.Assign) and unpacked(node, cell):
                return "tuple"
            if isinstance(node, ast.Attribute) and _weight_word(node.attr, cell):
                return "object"
    return ""


def unpacked(node: ast.Assign, cell: str) -> list[str]:
    """Return the names of `Wx, Wh, b = params` where all are weights, else []."""
    target = node.targets[0]
    if not isinstance(target, ast.Tuple | ast.List):
        return []
    names = [last_word(e) for e in target.elts]
    return names if all(_weight_word(n, cell) for n in names) else []


def _weight_word(word: str, cell: str) -> bool:
    return any(is_parameter(q) for q in meanings(word, cell)[:1])


def keys(
    name: str, functions: Sequence[ast.FunctionDef], constants: Mapping[str, Any]
) -> list[str]:
    """Return the keys that the code reads from a dictionary, in the order of the text. `constants` are
    the globals that a key may be made of.
    """
    names = flow.aliases(name, functions)
    found = [key for f in functions for key in _keys(f, names, constants)]
    return list(dict.fromkeys(found))


def _keys(f: ast.FunctionDef, names: set[str], constants: Mapping[str, Any]) -> Iterator[str]:
    """Yield the texts by which a function reads from one of the names: `P["W"]`, `P.get("W")`."""
    texts: flow.Texts | None = None
    for node in ast.walk(f):
        index = None
        if isinstance(node, ast.Subscript) and last_word(node.value) in names:
            index = node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            read = node.func.attr == "get" and last_word(node.func.value) in names
            index = node.args[0] if read else None
        if index is not None:
            texts = texts or flow.Texts(f, constants)
            yield from texts.of(index)
