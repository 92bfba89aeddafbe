"""`unrolled train FILE`: a network for a person's own text, labelled sequences, or series."""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from unrolled.cells import cell_names
from unrolled.cli import options
from unrolled.cli.progress import JsonLines, TrainingLine, introduction
from unrolled.errors import UnrolledError
from unrolled.network import Network
from unrolled.training.loop import check_fits
from unrolled.training.optimisers import SCHEDULES, SGD, Adam, make_optimiser
from unrolled.training.plan import Plan
from unrolled.training.run_folder import RunFolder, read_settings, sound_settings
from unrolled.training.tasks import Dataset
from unrolled.training.tasks.loading import load_data
from unrolled.training.train import train

_WITH_RESUME = {
    "file",
    "cell",
    "steps",
    "epochs",
    "seconds",
    "patience",
    "resume",
    "form",
    "threads",
    "save_every",
}
_DATA = ("kind", "m", "T", "validation", "seed", "length")
_COLUMNS = ("label", "sequence", "time", "target", "features")
_NETWORK = ("layers", "bidirectional", "embedding", "dropout", "dtype", "seed")
_ENDS = ("steps", "epochs", "seconds")
_PLAN = ("schedule", "warmup", "clip_norm", "clip_value", "every", "patience", "seed")


@click.command()
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--cell", default="gru", show_default=True,
              help="A name, or the path of a cell file.")  # fmt: skip
@click.option("--hidden", type=click.IntRange(1, options.LARGEST),
              help="Hidden units n_a.  [default: as usual for such data, from 16 to 128]")  # fmt: skip
@click.option("--layers", type=click.IntRange(1, 100), default=1, show_default=True, help="Layers.")
@click.option("--bidirectional", is_flag=True, help="Each layer in two directions.")
@click.option("--embedding", type=click.IntRange(1, options.LARGEST),
              help="Features of an embedding of the inputs.")  # fmt: skip
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
              help="Share of outputs left out between layers.")  # fmt: skip
@click.option(
    "--dtype", type=click.Choice(["float32", "float64"]), default="float32", show_default=True
)
@click.option("--as", "kind", type=click.Choice(["names", "prose"]),
              help="Text as names, one a line, or as one stream.  [default: as it looks]")  # fmt: skip
@click.option("--label", help="Column of a table with the class of a sequence.")
@click.option("--sequence", help="Column that says to which sequence a row belongs.")
@click.option("--time", help="Column with the order of the rows.")
@click.option(
    "--target", multiple=True, help="Column of a series to forecast; may be given more than once."
)
@click.option(
    "--features", multiple=True, help="Column to learn from; may be given more than once."
)
@click.option("--length", type=click.IntRange(2, options.LARGEST), default=100, show_default=True,
              help="Steps T of the data sets adding and copying.")  # fmt: skip
@click.option("--batch", "m", type=click.IntRange(1, options.LARGEST),
              help="Sequences m in an update.  [default: 128 lines, else 32]")  # fmt: skip
@click.option("--window", "T", type=click.IntRange(1, options.LARGEST),
              help="Steps T of a window; the state is carried to the next.  [default: 64 of prose, 32 of "
                   "a series, 200 of a line, a labelled sequence whole]")  # fmt: skip
@click.option("--validation", type=click.FloatRange(0, 1, max_open=True),
              help="Share held back.  [default: 0.1 of text, else 0.2]")  # fmt: skip
@click.option(
    "--steps",
    type=click.IntRange(1),
    help="Updates.  [default: as usual for such data, if no end is said]",
)
@click.option("--epochs", type=click.IntRange(1), help="Passes over the data.")
@click.option("--seconds", type=click.FloatRange(0, min_open=True), help="Time to train.")
@click.option("--optimiser", type=click.Choice(["adam", "sgd"]), default="adam", show_default=True)
@click.option("--learning-rate", "rate", type=click.FloatRange(0, min_open=True),
              help="[default: as usual for such data with adam, 0.5 with sgd]")  # fmt: skip
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True,
              help="Of sgd.")  # fmt: skip
@click.option("--schedule", type=click.Choice(SCHEDULES),
              help="Of the learning rate.  [default: as usual for such data, mostly cosine]")  # fmt: skip
@click.option("--warmup", type=click.IntRange(0), default=0, show_default=True,
              help="Updates over which the learning rate rises.")  # fmt: skip
@click.option("--clip-norm", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True,
              help="Largest norm of the gradients; inf clips nothing.")  # fmt: skip
@click.option("--clip-value", type=click.FloatRange(0, min_open=True),
              help="Largest entry of a gradient.")  # fmt: skip
@click.option("--every", type=click.IntRange(1),
              help="Updates after which held-back data are looked at.  [default: 25 or more]")  # fmt: skip
@click.option("--patience", type=click.IntRange(0),
              help="Stop when they were looked at so often without a lower loss; 0 never does.  [default: 10 "
                   "for text]")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of all that is drawn."
)
@click.option("--out", type=click.Path(), help="The run folder.  [default: runs/NAME-DATE-TIME]")
@click.option("--resume", type=click.Path(), help="A run folder to go on with.")
@click.option("--save-every", type=click.FloatRange(0), default=5.0, show_default=True,
              help="Seconds between checkpoints.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1, 1024),
              help="Of NumPy's products.  [default: 1 below 256 hidden units]")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
              help="json: a line for each update.")  # fmt: skip
@click.pass_context
def command(context: click.Context, /, file: str | None, **asked: Any) -> None:
    """Train a network on FILE, and keep it with all that belongs to it in a run folder.

    FILE is a text (names, one a line, or prose), or a table (.csv, .tsv, .parquet) of labelled sequences
    or of a series; or one of names, digits, sunspots, adding, copying, which are at hand.

    Ctrl-C finishes the update, saves, and says how to go on; a run that was killed goes on as well, with
    --resume, and ends as if nothing had happened.

    Example: unrolled train names.txt --cell lstm --steps 3000

    Example: unrolled train flowers.csv --label species --epochs 20
    """
    if math.isnan(asked["save_every"]):
        raise click.BadParameter("nan came, expected seconds", param_hint="--save-every")
    run = _resumed(context, file, asked) if asked["resume"] else _new(file, asked)
    line = JsonLines() if asked["form"] == "json" else TrainingLine(run.unit)
    with run.folder, line:
        line.begin(run.folder.path, introduction(run.data, run.net, run.optimiser, run.plan))
        history = train(
            run.net, run.data, optimiser=run.optimiser, **asdict(run.plan), callbacks=[line],
            out=run.folder, resume=bool(asked["resume"]), save_every=asked["save_every"],
            threads=asked["threads"] or run.threads,
        )  # fmt: skip
    line.end(run.folder.path, history, run.net, run.data.task)


@dataclass(frozen=True)
class _Run:
    """What was asked for, read and made."""

    data: Dataset
    net: Network
    optimiser: SGD | Adam
    plan: Plan
    folder: RunFolder
    threads: int | None = None

    @property
    def unit(self) -> str:
        """What a target is."""
        return {"text": "char"}.get(self.data.task.kind, "targets")


def _new(file: str | None, asked: dict[str, Any]) -> _Run:
    if file is None:
        raise click.UsageError("no FILE came: expected a file, a data set's name, or --resume RUN")
    columns = {name: asked[name] for name in _COLUMNS if asked[name]}
    data = load_data(file, columns=columns, **{name: asked[name] for name in _DATA})
    net = data.network(asked["cell"], asked["hidden"], **{n: asked[n] for n in _NETWORK})
    usual = data.task.usual
    if asked["rate"] is None:
        asked["rate"] = 0.5 if asked["optimiser"] == "sgd" else usual.rate
    if asked["optimiser"] == "adam" and asked["momentum"]:
        raise click.UsageError("--momentum goes with --optimiser sgd")
    chosen = {"momentum": asked["momentum"]} if asked["optimiser"] == "sgd" else {}
    optimiser = make_optimiser(asked["optimiser"], learning_rate=asked["rate"], **chosen)
    plan = {name: asked[name] for name in (*_ENDS, *_PLAN)}
    if not any(plan[end] for end in _ENDS):
        plan["steps"] = usual.steps
    if plan["schedule"] is None:
        plan["schedule"] = usual.schedule if plan["steps"] or plan["epochs"] else "constant"
    if plan["patience"] is None and data.validation is not None:
        plan["patience"] = usual.patience
    how = _plan(plan)
    check_fits(net, data.training, how, data.validation)  # before a folder is made
    out = asked["out"]
    folder = RunFolder(out) if out else RunFolder.named_by_time(Path(file).stem)
    return _Run(data, net, optimiser, how, folder)


def _resumed(context: click.Context, file: str | None, asked: dict[str, Any]) -> _Run:
    """Make again what a run was made with; only its end may be another one."""
    path = Path(asked["resume"])
    settings = read_settings(path)
    for name in asked:
        said = context.get_parameter_source(name) == ParameterSource.COMMANDLINE
        if said and name not in _WITH_RESUME:
            option = next(p.opts[0] for p in context.command.params if p.name == name)
            raise click.UsageError(
                f"{option} is that of the run, and cannot be changed by --resume"
            )
    if "origin" not in settings["data"]:
        raise UnrolledError(
            f"{path} was made in Python: go on there, with unrolled.train(…, out={str(path)!r}, resume=True)"
        )
    folder = RunFolder(path, go_on=True)
    with sound_settings(path):
        origin = settings["data"]["origin"] | ({"source": file} if file else {})
        net = Network(**settings["network"] | _own_cell(context, settings["network"]["cell"]))
        optimiser = make_optimiser(**settings["optimiser"])
        ends = {end: asked[end] for end in _ENDS}
        new = ends if any(ends.values()) else {}
        if asked["patience"] is not None:
            new = new | {"patience": asked["patience"]}
        plan = _plan(settings["plan"] | new)
        return _Run(load_data(**origin), net, optimiser, plan, folder, settings["threads"])


def _plan(said: dict[str, Any]) -> Plan:
    """Return a plan from options, of which inf and 0 switch off."""
    off = {n: None for n in ("clip_norm", "clip_value", "patience") if said[n] in (math.inf, 0)}
    return Plan(**said | off)


def _own_cell(context: click.Context, cell: str) -> dict[str, Any]:
    """A run does not choose which code runs: a cell file has to be named again."""
    said = context.get_parameter_source("cell") == ParameterSource.COMMANDLINE
    if cell in cell_names():
        if said and context.params["cell"] != cell:
            raise click.UsageError(
                f"--cell is that of the run, {cell}, and cannot be changed by --resume"
            )
        return {}
    if not said:
        raise UnrolledError(
            f"the cell of the run is the file {cell!r}: say where it is with --cell"
        )
    return {"cell": context.params["cell"]}
