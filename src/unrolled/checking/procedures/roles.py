"""Which of their functions does what, and what each argument stands for: by the words of its name."""

import ast
import dataclasses
import functools
import re

# The first that fits is taken: "gradient_check" is a check, "rnn_step_forward" no training step.
_FUNCTIONS = (
    ("check", r"check|numeric|finite_diff"),
    ("cell", r"(cell|step|timestep).*(forward|backward)|(forward|backward).*(cell|step)"),
    ("backward", r"backward|bptt|backprop|^grad"),
    ("forward", r"forward|^loss|loss_?fun"),
    ("clip", r"clip"),
    ("sample", r"sample|generate|^write$|compose|babble|dream"),
    ("init", r"^_?init(?!__)|initiali[sz]e|make_param|create_param|random_weights"),
    ("optimize", r"^optimi[sz]e|train_?(step|window|batch)|^one_step"),
    ("update", r"update|sgd|adam|rmsprop|momentum|apply_grad|descen"),
    ("windows", r"window|batch|dataset|sequences|one_?hot|encode|prepare|make_data|example|chunk"),
    ("train", r"train|^fit|^model$|^learn|^run$|^main$|^run_epochs"),
    ("backward", r"(and|compute|get|calculate|calc)_(the_)?grad"),
)
_ARGUMENTS = (
    ("gradients", r"grads?|gradients?|dparams?|dparameters"),
    ("parameters", r"param(eter)?s?|weights|theta|p"),
    ("learning_rate", r"learning_?rate|lr|eta|alpha|rate|step_?size"),
    ("epochs", r"(n|num|nb|max)?_?epochs?|e"),
    ("iterations", r"(n|num|nb|max)?_?(iterations?|iters?|steps|updates)"),
    ("limit", r"max_?val(ue)?|max_?norm|clip(_?value|_?at|_?to|_?norm)?|limit|threshold|bound|v"),
    ("seed", r"seed|rng_?seed|random_?state"),
    ("ids", r"ids|data|stream|sequence|tokens|corpus|indices|symbols|series|encoded|idx"),
    ("words", r"words|names|lines|examples|strings|word_?list|name_?list"),
    ("sequences", r"sequences|seqs|sentences"),
    ("pairs", r"pairs|samples|dataset"),
    ("stop", r"newline(_?(ix|idx|id|index|char|character|symbol))?|(stop|end|eos)_?(ix|idx|id|index|symbol|token)?"),
    ("temperature", r"temp(erature)?|tau"),
    ("text", r"text|string|chars"),
    ("first", r"start(_?(id|symbol|ix|char|index))?|first(_?id)?|seed_?(ix|id|index)|symbol|ix|prime"),
    ("length", r"length|n|count|how_?many|num_?(chars|symbols)|size|n_?(chars|steps)"),
    ("n_symbols", r"n_?(symbols|letters|chars|vocab|v|x|y|in|out|inputs?|outputs?|classes)"
                  r"|(vocab(ulary)?|alphabet)_?(size|len)|V|(input|output)_?(size|dim)|K|D"),
    ("n_a", r"n_?(a|h|hidden|units|neurons)|hidden(_?(size|dim|units))?|H|units|state_?size"),
    ("m", r"m|batch_?size|n_?(streams|batch|seqs)|N|B|streams|batch"),
    ("T", r"T(_?x)?|seq(uence)?_?len(gth)?|window(_?(size|length))?|n?_?time_?steps|steps_per_window|bptt(_?len)?"),
    ("state", r"a_?(0|prev)|h_?(0|prev|init)|prev_?(a|h|state)|state|hidden_?state|h|a|initial_?state"
              r"|(carried|last|start)_?(state|h|a)|h_?(start|last)|a_?init"),
    ("X", r"X(_?(batch|window|t|train))?|x(s|_batch)?|inputs?"),
    ("Y", r"Y(_?(batch|window|t|train|true))?|y(s|_batch|_true)?|targets?|labels?"),
    ("to_index", r"(char|letter|symbol|token)s?_?(to|2)_?(ix|idx|id|index|i)|number|stoi"),
    ("to_symbol", r"(ix|idx|id|index|i)_?(to|2)_?(char|letter|symbol|token)s?|itos"),
    ("eps", r"eps(ilon)?|delta"),
    ("quiet", r"verbose|print_.*|log_.*|plot"),
    ("generator", r"rng|gen(erator)?"),
    ("model", r"model|net(work)?|(my_?)?(rnn|gru|lstm)|nn"),
)  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Function:
    """One function or method of their file, and what its name says that it does ("" where nothing)."""

    name: str
    role: str
    node: ast.FunctionDef
    owner: str | None = None

    @property
    def arguments(self) -> list[str]:
        """The names of its arguments, without `self`."""
        given = self.node.args
        names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
        alone = any(getattr(d, "id", "") == "staticmethod" for d in self.node.decorator_list)
        return names[1:] if self.owner and names and not alone else names


def functions(program: ast.Module) -> list[Function]:
    """Return the functions of a file and the methods of its classes, in the order of the file."""
    found = []
    for node in program.body:
        if isinstance(node, ast.FunctionDef):
            found.append(Function(node.name, function_role(node.name), node))
        elif isinstance(node, ast.ClassDef):
            inner = [n for n in node.body if isinstance(n, ast.FunctionDef)]
            found += [Function(n.name, function_role(n.name), n, node.name) for n in inner]
    for _ in range(2):  # what calls a step calls a backward pass
        found = [_by_its_body(f, found) for f in found]
    return found


def _by_its_body(function: Function, all_of_them: list[Function]) -> Function:
    """What takes a state or inputs with targets cuts no windows; what calls a backward pass trains."""
    given = {argument_role(name) for name in function.arguments}
    role = function.role
    if role == "windows" and ("state" in given or {"X", "Y"} <= given):
        role = ""
    if role == "":
        inner = {f.name for f in all_of_them if f.role in ("backward", "optimize")}
        role = "optimize" if inner & called(function.node) else ""
    if role == "" and _draws(function, all_of_them):
        role = "sample"
    if role == "" and "gradients" in given and "X" not in given:
        role = _of_gradients(given)
    if role == "train" and {"X", "state"} <= given and not given & {*_OF_TRAINING}:
        role = "forward" if multiplies(function.node) else role
    return dataclasses.replace(function, role=role)


_OF_TRAINING = ("epochs", "iterations", "learning_rate", "ids", "text", "words", "sequences")


def _of_gradients(given: set[str]) -> str:
    """What is done with gradients, where the name does not say it: by what else is given."""
    if given & {"parameters", "learning_rate"}:
        return "update"
    return "clip" if "limit" in given else ""


def _draws(function: Function, all_of_them: list[Function]) -> bool:
    """Whether a function draws in a loop, and makes the odds by a product."""
    loops = [n for n in ast.walk(function.node) if isinstance(n, ast.For | ast.While)]
    drawn = {"choice", "choices", "multinomial"} & {w for loop in loops for w in called(loop)}
    helpers = [f.node for f in all_of_them if f.name in called(function.node)]
    return bool(drawn) and any(multiplies(node) for node in (function.node, *helpers))


def multiplies(node: ast.AST) -> bool:
    """Whether a piece of a program has a product of matrices."""
    signs = any(isinstance(n, ast.MatMult) for n in ast.walk(node))
    return signs or bool({"dot", "matmul", "einsum"} & called(node))


def called(node: ast.AST) -> set[str]:
    """Return the names of all functions and methods that are called inside a piece of a program."""
    calls = [n.func for n in ast.walk(node) if isinstance(n, ast.Call)]
    return {f.id if isinstance(f, ast.Name) else getattr(f, "attr", "") for f in calls}


def function_role(name: str) -> str:
    """Return what a function of this name does, "" where the name does not say it."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return next((role for role, pattern in _FUNCTIONS if re.search(pattern, words)), "")


@functools.cache
def argument_role(name: str) -> str:
    """Return what an argument of this name stands for, "" where the name does not say it."""
    name = name.strip("_")
    for role, pattern in _ARGUMENTS:
        if re.fullmatch(pattern, name):
            return role
    lower = name.lower()
    return next((r for r, p in _ARGUMENTS if lower != name and re.fullmatch(p, lower)), "")


def is_parameter(name: str) -> bool:
    """Whether a name is a weight's or a bias's."""
    return bool(re.fullmatch(r"[WUV]\w*|w_?[a-z]{1,3}\d?|b(ias)?(_?[a-z]{0,3}\d?)", name))


def gradient_of(name: str) -> str:
    """Return the parameter that a name says it is the gradient of, "" where it says none."""
    for pattern in (r"d_?(.+)", r"(?:grad|g)_?(.+)", r"(.+?)_?grad"):
        found = re.fullmatch(pattern, name)
        if found and is_parameter(found[1]):
            return found[1]
    return ""
