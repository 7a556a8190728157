"""Messages between a game's process and its clients (standard library only: the guard reads them).

Client to game: `{"op": "hello", "role": "listen" | "press", "wants": [types]}` first, then
`{"op": "hold", "held": [...], "relative": {...}, "axes": {...}}` (the press client),
`{"op": "player_press", "control": name, "down": bool}`, `{"op": "player", "on": bool}`,
`{"op": "reset", "seed": int?}`, `{"op": "pause", "on": bool}`, `{"op": "focus", "on": bool}`, `{"op": "quit"}`.

Game to client: `input` (one event), `window` (the window in front or null), `episode` (a score; for scoring only, the
agent never asks for it), `advice` (what the scripted player would hold, each tick), `refused` (with a reason; the
connection is closed after it).
"""

from pathlib import Path
from typing import Any

from tray_agent.core.events import Command, InputEvent, WindowInfo
from tray_agent.runtime.local_socket import Connection, connect

Message = dict[str, Any]


def frames_path(socket_path: Path) -> Path:
    """File of the shared pictures of the game at `socket_path`."""
    return socket_path.with_name(socket_path.name + ".frames")


def sound_path(socket_path: Path) -> Path:
    """File of the shared sound of the game at `socket_path`."""
    return socket_path.with_name(socket_path.name + ".sound")


def hello(socket_path: Path, role: str, wants: tuple[str, ...]) -> Connection:
    """Connect as a client that gets messages of the types in `wants`.

    Raises:
        OSError: no game listens there.
    """
    connection = connect(socket_path)
    connection.send({"op": "hello", "role": role, "wants": list(wants)})
    return connection


def from_event(event: InputEvent) -> Message:
    """Event as an `input` message."""
    return {
        "type": "input",
        "t_ns": event.t_ns,
        "kind": event.kind,
        "control": event.control,
        "value": event.value,
        "device": event.device,
        "own": event.own,
    }


def to_event(message: Message) -> InputEvent:
    """Inverse of `from_event`."""
    return InputEvent(
        t_ns=int(message["t_ns"]),
        kind=message["kind"],
        control=str(message["control"]),
        value=float(message["value"]),
        device=str(message["device"]),
        own=bool(message["own"]),
    )


def from_command(command: Command) -> Message:
    """Command as a `hold` message."""
    return {
        "op": "hold",
        "held": sorted(command.held),
        "relative": dict(command.relative),
        "axes": dict(command.axes),
    }


def to_command(message: Message) -> Command:
    """Inverse of `from_command`.

    Raises:
        ValueError, TypeError, AttributeError: the message is malformed.
    """
    return Command(
        held=frozenset(str(key) for key in message.get("held", ())),
        relative={str(name): float(value) for name, value in message.get("relative", {}).items()},
        axes={str(name): float(value) for name, value in message.get("axes", {}).items()},
    )


def from_window(info: WindowInfo | None) -> Message:
    """Window in front as a `window` message."""
    if info is None:
        return {"type": "window", "info": None}
    return {"type": "window", "info": [info.handle, info.process, info.title, list(info.rect), info.pid]}


def to_window(message: Message) -> WindowInfo | None:
    """Inverse of `from_window`."""
    if message["info"] is None:
        return None
    handle, process, title, (left, top, width, height), pid = message["info"]
    return WindowInfo(int(handle), str(process), str(title), (left, top, width, height), int(pid))
