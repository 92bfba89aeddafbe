"""The entry point: finds the command, and turns what goes wrong into one line and an exit status.

0 is "fine", 1 is "found wrong", 2 is "could not run".
"""

import importlib
import pkgutil
import sys

import click

import unrolled
from unrolled import cli
from unrolled.cli.output import say
from unrolled.errors import UnrolledError

_WELCOME = """Unrolled: recurrent networks whose every number can be seen. Three commands to try:

  unrolled demo                 trains a network on real surnames, and proves its gradients
  unrolled check --example      names the wrong line of a network, and why; or of your FILE
  unrolled explain small        walks through a whole calculation, backward too, with its numbers

`unrolled --help` lists all commands, `unrolled COMMAND --help` has an example of each."""

_NOT_COMMANDS = ("main", "options", "output", "progress", "walking")


class _Commands(click.Group):
    """Imports a command's file only when it is asked for, so that the others cost nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = (module.name for module in pkgutil.iter_modules(cli.__path__))
        return sorted(name for name in names if name not in _NOT_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"unrolled.cli.{cmd_name}").command
        return command


@click.group(
    cls=_Commands, invoke_without_command=True, help="Recurrent networks you can see through."
)
@click.version_option(unrolled.__version__, prog_name="unrolled")
@click.pass_context
def _unrolled(ctx: click.Context) -> None:
    if ctx.invoked_subcommand is None:
        say(_WELCOME)


def main() -> None:
    """Run the command line and exit."""
    sys.exit(_run())


def _run() -> int:
    try:
        return int(_unrolled.main(prog_name="unrolled", standalone_mode=False) or 0)
    except click.UsageError as error:
        where = f" (see `{error.ctx.command_path} --help`)" if error.ctx else ""
        return _refuse(error.format_message() + where)
    except (click.ClickException, UnrolledError) as error:
        return _refuse(
            error.format_message() if isinstance(error, click.ClickException) else str(error)
        )
    except (KeyboardInterrupt, click.Abort) as stop:
        return _refuse(str(stop.__cause__ or stop) or "stopped", 130)  # click puts it into its own
    except SystemExit:  # click's answer to a closed pipe: the reader has seen enough
        return 0
    except OSError as error:
        return _refuse(f"{error.filename or 'output'}: {error.strerror or error}")
    except MemoryError as error:
        return _refuse(f"there is not enough memory: {error}")


def _refuse(sentence: str, status: int = 2) -> int:
    say(f"unrolled: {' '.join(sentence.split())}", error=True)
    return status
