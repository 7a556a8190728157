"""Messages between daemon and guard: JSON lines (standard library only; no I/O, any thread).

Daemon to guard, on the guard's stdin: `Op`. Guard to daemon, on its stdout: `GuardEvent`.
The first message is the guard's command line argument, `Hello`. All times are monotonic nanoseconds.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from tray_agent.core import keys
from tray_agent.core.events import Command
from tray_agent.core.guard_port import BackendReport

BACKENDS = ("x11", "env", "win32", "darwin", "log", "fake")
MAX_LINE_BYTES = 1 << 16
Rect = tuple[int, int, int, int]


class ProtocolError(ValueError):
    """A message is not what the protocol says."""


@dataclass(frozen=True)
class Hello:
    """How a guard is started.

    Attributes:
        backend: one of `BACKENDS`.
        options: keyword arguments of that backend.
        hotkeys: name -> keys, the last one pressed last; "kill" is required.
        lease_ms: silence of the daemon after which everything is let go.
        parent_pid: the daemon; the guard ends when it is no longer its parent. 0: not checked.
    """

    backend: str
    hotkeys: Mapping[str, tuple[str, ...]]
    options: Mapping[str, Any] = field(default_factory=dict)
    lease_ms: int = 200
    parent_pid: int = 0

    def to_json(self) -> str:
        """The command line argument."""
        return json.dumps(asdict(self))

    @staticmethod
    def from_json(text: str) -> "Hello":
        """Inverse of `to_json`.

        Raises:
            ProtocolError: not a hello.
        """
        data = _object(text)
        backend, hotkeys, options = data.get("backend"), data.get("hotkeys"), data.get("options", {})
        if backend not in BACKENDS:
            raise ProtocolError(f"backend {backend!r} is none of {', '.join(BACKENDS)}")
        if not isinstance(hotkeys, dict) or not isinstance(options, dict):
            raise ProtocolError("hotkeys and options must be objects")
        chords = {str(name): _names(chord, f"hotkey {name}", keys.BUTTONS) for name, chord in hotkeys.items()}
        if not chords.get("kill"):
            raise ProtocolError("there is no kill hotkey; without one nothing is pressed")
        if len({frozenset(chord) for chord in chords.values()}) < len(chords) or not all(chords.values()):
            raise ProtocolError("two hotkeys are the same, or one is empty")
        lease_ms = _integer(data, "lease_ms", 200)
        if not 20 <= lease_ms <= 5000:
            raise ProtocolError(f"lease_ms is {lease_ms}, must be 20 to 5000")
        return Hello(str(backend), chords, options, lease_ms, _integer(data, "parent_pid", 0))


@dataclass(frozen=True)
class Game:
    """What may be pressed, and where. `window` None: any window may be in front (environments).

    Attributes:
        window: handle of the game's window; leaving it ends play.
        rect: its client area (left, top, width, height); None: not checked.
        limit_s: longest time one permit lasts.
        lease_ms: overrides the guard's lease for slow games; None: the guard's own.
    """

    buttons: tuple[str, ...] = ()
    relative: tuple[str, ...] = ()
    axes: tuple[str, ...] = ()
    window: int | None = None
    rect: Rect | None = None
    limit_s: float = 3600.0
    lease_ms: int | None = None


@dataclass(frozen=True)
class ClearGame:
    """There is no game to play."""


@dataclass(frozen=True)
class PermitRequest:
    """A person asked for play through tray, window or command line at `t_ns`."""

    t_ns: int


@dataclass(frozen=True)
class Act:
    """What shall be held now. `seq` grows with every act of an epoch; `t_ns` is when it was decided."""

    epoch: int
    seq: int
    t_ns: int
    command: Command


@dataclass(frozen=True)
class Revoke:
    """Stop playing."""

    reason: str


@dataclass(frozen=True)
class Ping:
    """Are you there? Answered by `Pong` with the same `t_ns`."""

    t_ns: int


@dataclass(frozen=True)
class Quit:
    """Release everything and end."""


Op = Game | ClearGame | PermitRequest | Act | Revoke | Ping | Quit


@dataclass(frozen=True)
class Ready:
    """The guard hears and can press. `leftovers`: names an earlier, killed guard had left down."""

    report: BackendReport
    pid: int
    leftovers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """The guard can't work; it ends."""

    reason: str
    remedy: str = ""


@dataclass(frozen=True)
class Hotkey:
    """The player pressed a hotkey. `stops`: it was pressed to end play, not to begin something."""

    name: str
    t_ns: int
    stops: bool = False


@dataclass(frozen=True)
class Armed:
    """A permit was granted; acts of this epoch are obeyed until `expires_ns`."""

    epoch: int
    expires_ns: int


@dataclass(frozen=True)
class Refused:
    """Something was asked for and not done; `what` is "permit", "game" or "message"."""

    what: str
    reason: str


@dataclass(frozen=True)
class Revoked:
    """Play ended and everything is up.

    Attributes:
        kind: kill, hotkey, takeover, window, lease, limit, command, lost, stop, game, suspend, daemon, signal, fault.
        reason: for the user.
        epoch: which permit ended.
        t_ns: when its cause arrived.
        released: what was let go.
        latency_us: from the cause's arrival until everything was let go.
    """

    kind: str
    reason: str
    epoch: int
    t_ns: int
    released: tuple[str, ...]
    latency_us: int


@dataclass(frozen=True)
class Pong:
    """Answer to `Ping`."""

    t_ns: int
    playing: bool
    held: tuple[str, ...]


@dataclass(frozen=True)
class Dropped:
    """Commands, or parts of them, that were not obeyed, since the last report."""

    count: int
    why: str


@dataclass(frozen=True)
class Lost:
    """Made by the client, not sent: the guard died or froze, was killed, and its keys were let go."""

    reason: str
    released: tuple[str, ...] = ()


GuardEvent = Ready | Failed | Hotkey | Armed | Refused | Revoked | Pong | Dropped | Lost
_EVENTS: dict[str, type[Any]] = {
    kind.__name__.lower(): kind for kind in (Ready, Failed, Hotkey, Armed, Refused, Revoked, Pong, Dropped)
}


def encode_event(event: GuardEvent) -> bytes:
    """One line."""
    return _line({"event": type(event).__name__.lower(), **asdict(event)})


def decode_event(line: bytes) -> GuardEvent:
    """Inverse of `encode_event`.

    Raises:
        ProtocolError: not an event.
    """
    data = _object(line)
    kind = _EVENTS.get(str(data.pop("event", "")))
    if kind is None:
        raise ProtocolError(f"no such event: {line[:80]!r}")
    try:
        fields = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
        if kind is Ready:
            fields["report"] = BackendReport(**data["report"])
        event: GuardEvent = kind(**fields)
    except (TypeError, KeyError) as error:
        raise ProtocolError(f"malformed event {line[:80]!r}") from error
    return event


def encode_op(op: Op) -> bytes:
    """One line."""
    match op:
        case Game():
            fields = asdict(op)
            controls = {group: fields.pop(group) for group in ("buttons", "relative", "axes")}
            return _line({"op": "game", "controls": controls, **fields})
        case ClearGame():
            return _line({"op": "game", "controls": None})
        case Act(epoch, seq, t_ns, command):
            moves = {"relative": dict(command.relative), "axes": dict(command.axes)}
            return _line({"op": "act", "epoch": epoch, "seq": seq, "t_ns": t_ns, "held": sorted(command.held), **moves})
        case PermitRequest():
            return _line({"op": "permit", **asdict(op)})
        case _:
            return _line({"op": type(op).__name__.lower(), **asdict(op)})


def decode_op(line: bytes) -> Op:
    """Inverse of `encode_op`. Names and numbers of an act are not checked here: see `rules`.

    Raises:
        ProtocolError: not an operation.
    """
    data = _object(line)
    name = data.get("op")
    decode = _DECODERS.get(name) if isinstance(name, str) else None
    if decode is None:
        raise ProtocolError(f"no such operation: {line[:80]!r}")
    return decode(data)


def _game(data: dict[str, Any]) -> Op:
    controls = data.get("controls")
    if controls is None:
        return ClearGame()
    if not isinstance(controls, dict):
        raise ProtocolError("controls must be an object")
    window, rect, limit_s = data.get("window"), data.get("rect"), data.get("limit_s", 3600.0)
    return Game(
        buttons=_names(controls.get("buttons", []), "buttons", keys.BUTTONS - keys.FORBIDDEN),
        relative=_names(controls.get("relative", []), "relative", frozenset(keys.RELATIVE)),
        axes=_names(controls.get("axes", []), "axes", frozenset(keys.AXES)),
        window=None if window is None else _integer(data, "window", 0),
        rect=None if rect is None else _rect(rect),
        limit_s=_positive(limit_s, "limit_s"),
        lease_ms=None if data.get("lease_ms") is None else min(5000, max(20, _integer(data, "lease_ms", 0))),
    )


def _act(data: dict[str, Any]) -> Op:
    held, relative, axes = data.get("held", []), data.get("relative", {}), data.get("axes", {})
    if not isinstance(held, list) or not all(isinstance(name, str) for name in held):
        raise ProtocolError("held must be a list of names")
    command = Command(frozenset(held), _numbers(relative, "relative"), _numbers(axes, "axes"))
    return Act(_integer(data, "epoch"), _integer(data, "seq"), _integer(data, "t_ns"), command)


_DECODERS: dict[str, Callable[[dict[str, Any]], Op]] = {
    "game": _game,
    "act": _act,
    "permit": lambda data: PermitRequest(_integer(data, "t_ns")),
    "revoke": lambda data: Revoke(str(data.get("reason", "stopped"))),
    "ping": lambda data: Ping(_integer(data, "t_ns")),
    "quit": lambda _: Quit(),
}


def _line(message: dict[str, Any]) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def _object(text: str | bytes) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {text[:80]!r}") from error
    if not isinstance(data, dict):
        raise ProtocolError(f"not a JSON object: {text[:80]!r}")
    return data


def _integer(data: dict[str, Any], name: str, default: int | None = None) -> int:
    value = data.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ProtocolError(f"{name} must be a whole number, not {value!r}")
    return value


def _positive(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 < value < 1e9:
        raise ProtocolError(f"{name} must be a number above 0, not {value!r}")
    return float(value)


def _names(value: object, what: str, allowed: frozenset[str]) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)):
        raise ProtocolError(f"{what} must be a list of names")
    for name in value:
        if not isinstance(name, str) or name not in allowed:
            raise ProtocolError(f"{what}: {name!r} may not be used")
    return tuple(value)


def _numbers(value: object, what: str) -> dict[str, float]:
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} must be an object")
    for number in value.values():
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise ProtocolError(f"{what}: {number!r} is no number")
    try:
        return {name: float(number) for name, number in value.items()}
    except OverflowError as error:
        raise ProtocolError(f"{what}: a number is too large") from error


def _rect(value: object) -> Rect:
    if not isinstance(value, list) or len(value) != 4 or not all(type(side) is int for side in value):
        raise ProtocolError(f"rect must be four whole numbers, not {value!r}")
    return value[0], value[1], value[2], value[3]
