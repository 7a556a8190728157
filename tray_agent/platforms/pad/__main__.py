"""Pad reader process: prints what pads do as JSON lines until its parent closes standard input.

A process of its own because SDL wants a main thread with an event loop. One thread here waits for events, another
for the parent to go. Lines: {"ready": true}, {"added": id, "name", "guid", "own"}, {"removed": id},
{"t_ns", "pad": id, "kind": "button"|"axis", "control", "value"}, {"error": text}.
"""

import json
import os
import sys
import threading
from typing import Any

from tray_agent.core.clock import MonotonicClock
from tray_agent.platforms.pad.mapping import axis_name, axis_value, button_name, is_own_guid

EXIT_UNUSABLE = 3
_WAIT_MS = 1000


def main() -> int:
    """Run until the parent goes; status `EXIT_UNUSABLE` when pygame can't be used here."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    # read by SDL as it starts; without them an unfocused program hears no pad, and a display would be needed
    os.environ |= {
        "SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS": "1",
        "SDL_VIDEODRIVER": "dummy",
        "SDL_AUDIODRIVER": "dummy",
        "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    }
    try:
        import pygame
        from pygame._sdl2 import controller

        pygame.display.init()
        controller.init()
    except (ImportError, OSError, RuntimeError) as error:
        say({"error": f"pygame can't read pads: {error}"})
        return EXIT_UNUSABLE
    reader = Reader(pygame, controller)
    say({"ready": True})
    clock = MonotonicClock()
    while True:
        first = pygame.event.wait(_WAIT_MS)
        t_ns = clock.now_ns()
        for event in (first, *pygame.event.get()):
            reader.take(event, t_ns)


class Reader:
    """Turns SDL's events into lines; knows which pads are open and which of them is ours."""

    def __init__(self, pygame: Any, controller: Any) -> None:
        self._pygame = pygame
        self._controller = controller
        self._open: dict[int, Any] = {}

    def take(self, event: Any, t_ns: int) -> None:
        """Handle one event."""
        pygame = self._pygame
        if event.type == pygame.CONTROLLERDEVICEADDED:
            self._add(event.device_index)
        elif event.type == pygame.CONTROLLERDEVICEREMOVED:
            if self._open.pop(event.instance_id, None) is not None:
                say({"removed": event.instance_id})
        elif event.type in (pygame.CONTROLLERBUTTONDOWN, pygame.CONTROLLERBUTTONUP):
            value = float(event.type == pygame.CONTROLLERBUTTONDOWN)
            self._tell(t_ns, event.instance_id, "button", button_name(event.button), value)
        elif event.type == pygame.CONTROLLERAXISMOTION:
            self._tell(t_ns, event.instance_id, "axis", axis_name(event.axis), axis_value(event.value))

    def _add(self, index: int) -> None:
        pad = self._controller.Controller(index)
        stick = pad.as_joystick()
        number, guid = stick.get_instance_id(), stick.get_guid()
        # without the reference SDL closes the pad
        self._open[number] = (pad, stick)
        say({"added": number, "name": str(pad.name), "guid": guid, "own": is_own_guid(guid)})

    def _tell(self, t_ns: int, pad: int, kind: str, control: str | None, value: float) -> None:
        if control is not None and pad in self._open:
            say({"t_ns": t_ns, "pad": pad, "kind": kind, "control": control, "value": value})


def say(message: dict[str, Any]) -> None:
    """Print one line; ends the process when nobody reads any more."""
    try:
        os.write(1, json.dumps(message).encode() + b"\n")
    except OSError:
        os._exit(0)


def _leave_with_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
