"""Refuses, in the child, what a program must not do by accident: write outside its folder, start
other programs, use the network. Python tells us of each before it happens (PEP 578).
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from unrolled.errors import one_line

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PATHS = {"os.remove": 1, "os.rename": 2, "os.rmdir": 1, "os.mkdir": 1, "os.chmod": 1, "os.chown": 1,
          "shutil.rmtree": 1, "os.link": 2, "os.symlink": 2, "os.truncate": 1, "os.utime": 1}  # fmt: skip
_STARTS = ("os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn",
           "os.startfile", "subprocess.Popen", "pty.spawn")  # fmt: skip
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.bind", "socket.sendto")
_MOST = 5  # sentences


def install(place: Path) -> list[str]:
    """Refuse from now on, in this whole process; return the list that gets a sentence for each refusal."""
    refused: list[str] = []
    look = _looks(str(place))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        check = look.get(event)
        why = check(arguments) if check else ""
        if why:
            if len(refused) < _MOST and not _importing():
                refused.append(f"the program tried to {one_line(why)}, which was refused.")
            raise PermissionError(f"unrolled check does not let a program {why}")

    sys.addaudithook(hook)
    return refused


def _importing() -> bool:
    """Whether a module is being imported: what libraries do for themselves then is of no interest."""
    frame = sys._getframe(2)
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back  # type: ignore[assignment]
    return frame is not None


def _looks(place: str) -> dict[str, Callable[[tuple[Any, ...]], str]]:
    """Return for each event the function that says what is not allowed about it, or nothing."""

    def outside(path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return False  # a file that is open already
        real = Path(os.path.realpath(os.fsdecode(path)))
        return str(real) != os.devnull and not real.is_relative_to(place)

    def opened(arguments: tuple[Any, ...]) -> str:
        path, _, flags = arguments
        writes = isinstance(flags, int) and flags & _WRITES
        return f"write to {os.fsdecode(path)}" if writes and outside(path) else ""

    def changed(count: int) -> Callable[[tuple[Any, ...]], str]:
        def look(arguments: tuple[Any, ...]) -> str:
            paths = [path for path in arguments[:count] if outside(path)]
            return f"change {os.fsdecode(paths[0])}" if paths else ""

        return look

    def killed(arguments: tuple[Any, ...]) -> str:
        return "" if arguments[0] == os.getpid() else "send a signal to another process"

    return {
        "open": opened, "os.kill": killed, "os.killpg": lambda _: "send a signal to other processes",
        **{event: changed(count) for event, count in _PATHS.items()},
        **dict.fromkeys(_STARTS, lambda _: "start another program"),
        **dict.fromkeys(_NETWORK, lambda _: "use the network"),
    }  # fmt: skip
