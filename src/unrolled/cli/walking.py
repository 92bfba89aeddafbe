"""Walking through a calculation with the keys of a terminal, forward and back."""

import click
from rich.console import Console

from unrolled.cli.output import say
from unrolled.errors import UnrolledError
from unrolled.explaining.terminal import Terminal

_KEYS = "n next, p previous, g go to, f forward's first, b backward's first, e end, q quit"
# What a key sends: letters, arrows (of Unix, and two ways of Windows), space, enter, backspace.
_MEANT = {
    "n": "next", " ": "next", "\r": "next", "\n": "next",
    "p": "previous", "\x7f": "previous", "\x08": "previous",
    "g": "go to", "f": "forward", "b": "backward", "e": "end", "q": "quit", "\x1b": "quit",
    **{before + key: "next" for before in ("\x1b[", "\x1bO") for key in "CB"},
    **{before + key: "previous" for before in ("\x1b[", "\x1bO") for key in "DA"},
    **{before + key: "next" for before in ("\xe0", "\x00") for key in "MP"},
    **{before + key: "previous" for before in ("\xe0", "\x00") for key in "KH"},
}  # fmt: skip


def walk(terminal: Terminal, console: Console) -> None:
    """Show one moment after the other as the keys say, until q, Ctrl-C or the end of input."""
    k, shown = 0, None
    moments = terminal.explanation.moments
    while True:
        if k != shown:
            console.print(terminal.step(k))
            shown = k
        try:
            for meant in _pressed(f"[{k + 1} of {len(moments)}] {_KEYS} "):
                if meant == "quit":
                    return
                k = _moved(terminal, k, meant)
        except (KeyboardInterrupt, EOFError, click.Abort):
            return


def _pressed(line: str) -> list[str]:
    """Show the keys, and return what was pressed: one key, or several that were typed ahead."""
    click.echo(line, nl=False)
    keys = click.getchar()
    click.echo("\r" + " " * len(line) + "\r", nl=False)
    single = [keys] if keys in _MEANT else list(keys)
    return [_MEANT[key] for key in single if key in _MEANT]


def _moved(terminal: Terminal, k: int, meant: str) -> int:
    """Return the moment that is shown next."""
    moments = terminal.explanation.moments
    last = len(moments) - 1
    if meant == "go to":
        return _asked(terminal, k)
    loss = next(n for n, moment in enumerate(moments) if moment.key == ("loss", None))
    to = {"next": k + 1, "previous": k - 1, "forward": 0, "backward": loss + 1, "end": last}
    return min(max(to[meant], 0), last)


def _asked(terminal: Terminal, k: int) -> int:
    """Ask for a moment; stay where there is none such."""
    label = click.prompt("go to, as t=3:dz_a, t=3 or dW_aa", default="", show_default=False)
    if not label.strip():
        return k
    try:
        return terminal.explanation.find(label.strip())
    except UnrolledError as error:
        say(str(error))
        return k
