"""The real backends over Wine's user32: our bytes go into SendInput, Raw Input and RegisterHotKey answer.

The player is real as far as Wine can tell: xdotool on the X server that Wine takes its hardware input from.
"""

import contextlib
import ctypes
import os
import shutil
import subprocess
import time

import pytest
import wine_bridge

from tray_agent.core import keys
from tray_agent.core.events import Command
from tray_agent.platforms.win32 import scancodes, sink, window
from tray_agent.platforms.win32.api import Api, text
from tray_agent.platforms.win32.guard_backend import Win32GuardBackend
from tray_agent.platforms.win32.inputs import Win32InputSource

_MISSING = [
    name
    for name, found in (
        ("mingw-w64", wine_bridge.MINGW),
        ("wine64", wine_bridge.WINE),
        ("Xvfb", shutil.which("Xvfb")),
        ("xdotool", shutil.which("xdotool")),
    )
    if not found
]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(_MISSING), reason=f"missing: {', '.join(_MISSING)}"),
]
LOCKS = {"CapsLock", "NumLock", "ScrollLock"}
"""Keys that would leave the X server's idea of the keyboard different from Wine's."""
TITLE = "A game é"
KILL = {"kill": ("ControlLeft", "AltLeft", "KeyK")}


@contextlib.contextmanager
def _xvfb():
    read, write = os.pipe()
    process = subprocess.Popen(
        ["Xvfb", "-displayfd", str(write), "-screen", "0", "640x480x24", "-nolisten", "tcp"],
        pass_fds=[write], stderr=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(write)
    try:
        with os.fdopen(read) as numbers:
            yield f":{numbers.readline().strip()}"
    finally:
        process.terminate()
        process.wait(10)


ATTEMPTS = 3
"""Fresh prefixes to try: one whose first start could not reach the X server never opens a window again."""


@pytest.fixture(scope="module")
def wine(tmp_path_factory):
    """(program, environment, display) of a fresh Wine prefix on its own X server, where a window does open."""
    folder = tmp_path_factory.mktemp("wine")
    program = wine_bridge.compile_bridge(folder)
    with contextlib.ExitStack() as stack:
        for attempt in range(ATTEMPTS):
            display = stack.enter_context(_xvfb())
            environment = wine_bridge.wine_environment(folder / f"prefix{attempt}", display)
            stack.callback(wine_bridge.stop_wine, environment)
            if wine_bridge.opens_windows(program, environment):
                yield program, environment, display
                return
            stack.close()
    pytest.skip(f"Wine opens no window on this machine, in {ATTEMPTS} fresh prefixes")


@pytest.fixture
def caller(wine):
    """A Wine process with a window in front."""
    caller = wine_bridge.WineCaller(*wine[:2])
    caller.start()
    try:
        assert caller.call("bridge.OpenFront", text(TITLE)) != 0
        yield caller
    finally:
        caller.close()


@pytest.fixture
def backend(caller):
    """The guard's backend, started, with an empty command pipe whose write end is `backend.writer`."""
    ends = (ctypes.c_uint64 * 1)(), (ctypes.c_uint64 * 1)()
    assert caller.call("kernel32.CreatePipe", *ends, None, 0)
    caller.pipe_handle = ends[0][0]
    backend = Win32GuardBackend(caller=caller)
    backend.writer = ends[1][0]
    report = backend.start(KILL)
    assert report.hears_player, report.why_deaf
    assert report.hotkey_problems == {}
    yield backend
    backend.close()


def _xdotool(wine, *words):
    subprocess.run(["xdotool", *words], env=dict(os.environ, DISPLAY=wine[2]), check=True, timeout=10)


def _hear(backend, count, seconds=5.0):
    """Events until there are `count`, as (control, value, own)."""
    events, deadline = [], time.monotonic() + seconds
    while len(events) < count and time.monotonic() < deadline:
        heard = backend.wait(0, 0.2)
        assert not heard.lost
        events += [(e.control, e.value, e.own) for e in heard.events]
    return events


def _front_is_ours(wine, caller, backend=None):
    """The window's description, once it is in front and under the pointer, where the X server's keys go."""
    api, deadline = Api(caller), time.monotonic() + 10
    while (active := window.active_window(api)) is None or active.title != TITLE:
        assert time.monotonic() < deadline, f"in front is {active}"
        api.wait(20)
    _xdotool(wine, "mousemove", "20", "20", "mousemove", "100", "100")
    while backend is not None and backend.wait(0, 0.3).events:
        assert time.monotonic() < deadline, "the pointer does not rest"
    return active


def test_a_low_level_hook_sees_scan_code_extended_bit_and_tag(caller, backend):
    """What another Windows program is told of every pressable key: its code, its E0 bit, injected, and our tag."""
    assert caller.call("bridge.HookStart")
    plain = sorted(sink.PRESSABLE & keys.KEYS - scancodes.BY_VIRTUAL_KEY - LOCKS)
    for name in plain:
        backend.apply(Command(held=frozenset({name})))
    backend.apply(Command())
    notes = [note for note in _hook_notes(caller) if note[0] == 1]
    downs = [(code, bool(flags & 1)) for _, code, flags, message, _ in notes if message in (0x100, 0x104)]
    assert downs == [tuple(scancodes.SCAN_CODES[name]) for name in plain]
    assert all(extra == sink.TAG and flags & 0x10 for _, _, flags, _, extra in notes)
    assert len(notes) == 2 * len(plain)


def _hook_notes(caller):
    size, room = wine_bridge.NOTE.size, 512
    buffer = (ctypes.c_char * (size * room))()
    count = caller.call("bridge.HookTake", buffer, room)
    return [wine_bridge.NOTE.unpack_from(buffer, size * i) for i in range(count)]


def test_own_presses_come_back_as_own(wine, caller, backend):
    """Keys, mouse buttons, motion and wheel sent by the sink are heard, in order, and marked own."""
    _front_is_ours(wine, caller, backend)
    backend.apply(Command(held=frozenset({"KeyW", "ArrowUp", "MouseLeft"}), relative={"MouseX": 5.0, "WheelY": -1.0}))
    heard = _hear(backend, 5)
    assert heard == [
        ("ArrowUp", 1.0, True), ("KeyW", 1.0, True), ("MouseLeft", 1.0, True), ("MouseX", 5.0, True),
        ("WheelY", -1.0, True),
    ]  # fmt: skip
    backend.apply(Command(held=frozenset({"KeyW"})))
    assert _hear(backend, 2) == [("ArrowUp", 0.0, True), ("MouseLeft", 0.0, True)]
    assert backend.release_all() == ("KeyW",)
    assert _hear(backend, 1) == [("KeyW", 0.0, True)]
    assert backend.release_all() == ()


def test_the_player_is_heard_as_the_player(wine, caller, backend):
    """A key and a click of the X server's user arrive as not own, once each, though the key repeats."""
    _front_is_ours(wine, caller, backend)
    _xdotool(wine, "click", "1")
    assert _hear(backend, 2) == [("MouseLeft", 1.0, False), ("MouseLeft", 0.0, False)]
    _xdotool(wine, "keydown", "d")
    assert _hear(backend, 1) == [("KeyD", 1.0, False)]
    assert backend.wait(0, 0.8).events == ()
    _xdotool(wine, "keyup", "d")
    assert _hear(backend, 1) == [("KeyD", 0.0, False)]


def test_letting_go_leaves_the_players_key_down(wine, caller, backend):
    """A key that the agent and the player both hold stays down when the agent lets go."""
    _front_is_ours(wine, caller, backend)
    backend.apply(Command(held=frozenset({"KeyW", "KeyD"})))
    assert len(_hear(backend, 2)) == 2
    _xdotool(wine, "keydown", "d")
    try:
        assert _hear(backend, 1) == [("KeyD", 1.0, False)]
        assert set(backend.release_all()) == {"KeyD", "KeyW"}
        assert _hear(backend, 1) == [("KeyW", 0.0, True)]
        assert backend.release_leftovers() == ()
    finally:
        _xdotool(wine, "keyup", "d")
    assert _hear(backend, 1) == [("KeyD", 0.0, False)]


def test_the_kill_chord_is_heard_key_by_key(wine, caller, backend):
    """The reserved combination still arrives as the events of its keys, none of them twice."""
    _front_is_ours(wine, caller, backend)
    _xdotool(wine, "keydown", "Control_L", "keydown", "Alt_L", "keydown", "k")
    _xdotool(wine, "keyup", "k", "keyup", "Alt_L", "keyup", "Control_L")
    assert _hear(backend, 6) == [
        ("ControlLeft", 1.0, False), ("AltLeft", 1.0, False), ("KeyK", 1.0, False),
        ("KeyK", 0.0, False), ("AltLeft", 0.0, False), ("ControlLeft", 0.0, False),
    ]  # fmt: skip


def test_a_hotkey_message_alone_is_enough(caller, backend):
    """Where Raw Input says nothing, WM_HOTKEY makes the chord's presses, and releases follow."""
    hwnd, number = backend._listener.window, next(iter(backend._hotkeys._keys))
    assert caller.call("user32.PostMessageW", hwnd, 0x0312, number, 0)
    assert _hear(backend, 6) == [(key, 1.0, False) for key in KILL["kill"]] + [
        (key, 0.0, False) for key in sorted(KILL["kill"])
    ]


def test_a_taken_hotkey_is_reported(caller):
    """A combination that another program holds is named as taken; the others are reserved."""
    assert caller.call("bridge.RivalHotkey", (0x3 << 16) | ord("P")) == 0
    backend = Win32GuardBackend(caller=caller)
    report = backend.start({"play": ("ControlLeft", "AltLeft", "KeyP"), **KILL, "odd": ("KeyA", "KeyB")})
    backend.close()
    assert set(report.hotkey_problems) == {"play", "odd"}
    assert "taken by another program" in report.hotkey_problems["play"]


def test_commands_and_the_end_of_the_pipe_are_noticed(caller, backend):
    """An empty pipe is silent, bytes make it ready, and so does the daemon's end."""
    assert not backend.wait(0, 0.05).commands_ready
    written = (ctypes.c_uint32 * 1)()
    assert caller.call("kernel32.WriteFile", backend.writer, text("x"), 1, written, None)
    assert backend.wait(0, 1.0).commands_ready
    byte = (ctypes.c_char * 1)()
    assert caller.call("kernel32.ReadFile", caller.pipe_handle, byte, 1, written, None)
    assert not backend.wait(0, 0.05).commands_ready
    caller.call("kernel32.CloseHandle", backend.writer)
    assert backend.wait(0, 1.0).commands_ready


def test_waiting_ends_in_time(backend):
    """With nothing to hear, `wait` takes what it was told to take."""
    began = time.monotonic()
    backend.wait(0, 0.25)
    assert 0.24 <= time.monotonic() - began < 2.0


def test_a_dead_connection_is_reported_as_lost(caller, backend):
    """When the platform goes away, `wait` says so instead of raising, and letting go does not raise either."""
    backend.apply(Command(held=frozenset({"KeyW"})))
    caller.close()
    assert backend.wait(0, 0.1).lost
    assert backend.release_all() == ("KeyW",)
    backend.close()
    backend.close()


def test_a_successor_releases_what_a_killed_guard_left(wine, caller, backend):
    """Keys of a process that was killed stay down on Windows; a new one finds and releases them."""
    backend.apply(Command(held=frozenset({"KeyW", "MouseRight"})))
    other = wine_bridge.WineCaller(*wine[:2])
    successor = Win32GuardBackend(caller=other)
    try:
        caller.close()
        assert set(successor.release_leftovers()) == {"KeyW", "MouseRight"}
        assert successor.release_leftovers() == ()
    finally:
        other.close()


def test_the_window_in_front_is_described(wine, caller, backend):
    """Title, process without .exe, client rectangle on the screen, process id."""
    active = _front_is_ours(wine, caller)
    assert (active.process, active.rect) == ("bridge", (20, 30, 320, 200))
    assert active.pid > 0


def test_integrity_levels_are_read(caller):
    """Our own level is a known one, and a window of our own process is reachable."""
    api = Api(caller)
    ours = window.integrity_level(api, caller.call("kernel32.GetCurrentProcessId"))
    assert ours in (0x1000, 0x2000, 0x3000, 0x4000)
    assert window.why_unreachable(api, api.foreground()) == ""
    assert window.integrity_level(api, 0x7FFF_FFF0) is None


def test_virtual_keys_agree_with_windows_own_table(wine):
    """A US layout maps each of our scan codes to the virtual key in our table (Wine without a display has one)."""
    caller = wine_bridge.WineCaller(wine[0], wine[1] | {"DISPLAY": ""})
    caller.start()
    api = Api(caller)
    found = {name: api.virtual_key(*scan) for name, scan in scancodes.SCAN_CODES.items()}
    caller.close()
    del found["Pause"]
    assert {name: hex(key) for name, key in found.items() if key not in scancodes.VIRTUAL_KEYS[name]} == {}


def test_the_recorder_marks_own_and_hears_the_player(wine, caller):
    """The input source in its own thread tells the guard's presses from the player's."""
    _front_is_ours(wine, caller)
    source = Win32InputSource(caller=caller)
    source.start()
    try:
        deadline = time.monotonic() + 10
        events = []
        Api(caller).send_input([sink.button_input("KeyA", True), sink.button_input("KeyA", False)])
        _xdotool(wine, "key", "b")
        while len(events) < 4 and time.monotonic() < deadline:
            events += source.read(0.2)
    finally:
        source.close()
    assert [(e.control, e.value) for e in events if e.own] == [("KeyA", 1.0), ("KeyA", 0.0)]
    assert [(e.control, e.value) for e in events if not e.own] == [("KeyB", 1.0), ("KeyB", 0.0)]


def test_a_full_pipe_takes_nothing_instead_of_waiting(caller):
    """What `runtime.pipes` builds on: in mode PIPE_NOWAIT a write to a full pipe succeeds with 0 bytes."""
    ends = (ctypes.c_uint64 * 1)(), (ctypes.c_uint64 * 1)()
    assert caller.call("kernel32.CreatePipe", *ends, None, 0)
    no_wait = (ctypes.c_uint32 * 1)(1)
    assert caller.call("kernel32.SetNamedPipeHandleState", ends[1][0], no_wait, None, None)
    data, written, total = (ctypes.c_char * 1000)(), (ctypes.c_uint32 * 1)(), 0
    for _ in range(1000):
        assert caller.call("kernel32.WriteFile", ends[1][0], data, 1000, written, None) & 0xFFFF_FFFF
        if not written[0]:
            break
        total += written[0]
    assert written[0] == 0
    assert total >= 4096 - 1000
