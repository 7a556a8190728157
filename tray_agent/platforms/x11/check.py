"""Whether keys can be pressed and heard on this X server, tried with a key that means nothing (for `doctor`)."""

import time
from typing import TypedDict

from Xlib import X
from Xlib.display import Display
from Xlib.ext import xtest

from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.x11 import connection
from tray_agent.platforms.x11.raw_events import Devices, RawEvent

_TIMEOUT_S = 2.0


class CheckResult(TypedDict):
    """One line of `doctor`; `state` is "works", "degraded" or "missing"."""

    name: str
    state: str
    tried: str
    remedy: str


def check_keys(display_name: str | None = None) -> tuple[CheckResult, CheckResult]:
    """(recording, pressing): press a keycode without a symbol on one connection, hear it on another.

    No program reacts to such a key. Where every keycode has a symbol nothing is pressed.
    """
    try:
        hands, ears = connection.open_display(display_name), connection.open_display(display_name)
    except PlatformUnavailable as error:
        return _both("missing", str(error).removesuffix(error.remedy).strip(), error.remedy)
    try:
        connection.require(hands, xtest.extname, "pressing keys")
        connection.announce_xi2(ears)
        return _try(hands, ears)
    except PlatformUnavailable as error:
        return _both("missing", str(error).removesuffix(error.remedy).strip(), error.remedy)
    except connection.LOST as failure:
        return _both("missing", f"the X server went away: {failure}", "Start the graphical session again")
    finally:
        connection.close(hands)
        connection.close(ears)


def _try(hands: Display, ears: Display) -> tuple[CheckResult, CheckResult]:
    code = unused_keycode(hands)
    if code is None:
        return _both("degraded", "every keycode means something here, so none was pressed", "Try it on a game")
    devices = Devices(ears)
    devices.listen()
    ears.sync()
    started = time.monotonic()
    xtest.fake_input(hands, X.KeyPress, code)
    went_down = bool(hands.query_keymap()[code // 8] >> code % 8 & 1)
    xtest.fake_input(hands, X.KeyRelease, code)
    came_up = not hands.query_keymap()[code // 8] >> code % 8 & 1
    heard = _hear(ears, devices, code)
    took_ms = (time.monotonic() - started) * 1000
    pressing = _result(
        "key pressing",
        went_down and came_up,
        f"pressed and released keycode {code}, which no program uses, through XTest; "
        f"the server saw it {'go down and up' if went_down and came_up else 'not'}",
        "Let no other program grab XTest; some remote desktops disable it",
    )
    recording = _result(
        "key recording",
        len(heard) == 2,
        f"heard {len(heard)} of 2 raw events of that key in {took_ms:.1f} ms",
        "Use an X server with XInput 2.1 or newer that sends raw events",
    )
    return recording, pressing


def unused_keycode(display: Display) -> int | None:
    """The highest keycode without any symbol and without a modifier's role; None when there is none."""
    low, high = display.display.info.min_keycode, display.display.info.max_keycode
    modifiers = {code for group in display.get_modifier_mapping() for code in group}
    symbols = display.get_keyboard_mapping(low, high - low + 1)
    free = (low + i for i, row in enumerate(symbols) if not any(row))
    return max((code for code in free if code not in modifiers), default=None)


def _hear(ears: Display, devices: Devices, code: int) -> list[RawEvent]:
    heard: list[RawEvent] = []
    deadline = time.monotonic() + _TIMEOUT_S
    while len(heard) < 2 and time.monotonic() < deadline:
        while ears.pending_events():
            raw = devices.raw(ears.next_event())
            if raw is not None and raw.detail == code:
                heard.append(raw)
        time.sleep(0.002)
    return heard


def _result(name: str, works: bool, tried: str, remedy: str) -> CheckResult:
    return CheckResult(name=name, state="works" if works else "missing", tried=tried, remedy="" if works else remedy)


def _both(state: str, tried: str, remedy: str) -> tuple[CheckResult, CheckResult]:
    return (
        CheckResult(name="key recording", state=state, tried=tried, remedy=remedy),
        CheckResult(name="key pressing", state=state, tried=tried, remedy=remedy),
    )
