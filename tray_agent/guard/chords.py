"""Hotkeys, recognised in the stream of input events (standard library only). Runs in the guard's thread.

The agent's own events are never looked at, so the agent can't press a hotkey.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tray_agent.core.events import InputEvent

MODIFIERS = frozenset({"Control", "Alt", "Shift", "Meta"})
_FOLD = {f"{name}{side}": name for name in MODIFIERS for side in ("Left", "Right")}


def fold(control: str) -> str:
    """Left and right modifier as one ("ControlRight" -> "Control"); all other names unchanged."""
    return _FOLD.get(control, control)


@dataclass(frozen=True, slots=True)
class Fired:
    """A hotkey was pressed.

    Attributes:
        name: the hotkey's name.
        t_ns: when its last key went down.
        began_ns: when the first of its keys went down: the gesture's start.
    """

    name: str
    t_ns: int
    began_ns: int


class ChordDetector:
    """Tracks what the player holds and tells when a chord is complete.

    A chord fires when its last key goes down while the others are held, on whatever devices. Chords in
    `any_order` (kill) fire on any of their keys and on key repeats as well: missing one is worse than two.
    """

    def __init__(self, chords: Mapping[str, tuple[str, ...]], any_order: frozenset[str] = frozenset({"kill"})) -> None:
        self._chords = {name: tuple(fold(key) for key in keys) for name, keys in chords.items()}
        self._any_order = any_order
        self._down: dict[tuple[str, str], int] = {}

    def feed(self, event: InputEvent) -> tuple[Fired, ...]:
        """Take one event; the chords it completed."""
        if event.own or event.kind != "button":
            return ()
        place = (event.device, event.control)
        if event.value < 0.5:
            self._down.pop(place, None)
            return ()
        repeat = place in self._down
        self._down.setdefault(place, event.t_ns)
        return tuple(self._completed(event, repeat))

    def _completed(self, event: InputEvent, repeat: bool) -> list[Fired]:
        began: dict[str, int] = {}
        for (_, control), t_ns in self._down.items():
            key = fold(control)
            began[key] = min(t_ns, began.get(key, t_ns))
        pressed = fold(event.control)
        return [
            Fired(name, event.t_ns, min(began[key] for key in keys))
            for name, keys in self._chords.items()
            if self._is_trigger(name, keys, pressed, repeat) and all(key in began for key in keys)
        ]

    def _is_trigger(self, name: str, keys: tuple[str, ...], pressed: str, repeat: bool) -> bool:
        if name in self._any_order:
            return pressed in keys
        return pressed == keys[-1] and not repeat

    @property
    def held(self) -> frozenset[str]:
        """Names of the buttons the player holds."""
        return frozenset(control for _, control in self._down)

    def forget(self) -> None:
        """Forget what is down (after events may have been missed)."""
        self._down.clear()
