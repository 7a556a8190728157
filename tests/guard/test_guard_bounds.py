"""What an act may contain: bounds, forbidden chords, order, age and chatter."""

from dataclasses import replace

import pytest
from guard_desk import GAME, MS, WINDOW, Desk
from hypothesis import given, settings
from hypothesis import strategies as st

from tray_agent.core import keys
from tray_agent.core.events import InputEvent
from tray_agent.core.guard_port import Heard
from tray_agent.guard import protocol
from tray_agent.guard.protocol import Act, Command, Game, ProtocolError

BAD_ACTS = {
    "strange key": {"held": ("KeyQ",)},
    "strange motion": {"relative": {"MouseY": 1.0}},
    "strange axis": {"axes": {"PadRX": 0.0}},
    "not finite": {"relative": {"MouseX": float("inf")}},
    "not a number": {"axes": {"PadLX": float("nan")}},
    "axis too far": {"axes": {"PadLX": 1.01}},
    "motion too far": {"relative": {"MouseX": -5000.0}},
    "future": {"t_ns": 2**62},
    "future epoch": {"epoch": 99},
    "repeated": {"seq": 1},
    "older": {"seq": 0},
}


@pytest.mark.parametrize("name", BAD_ACTS)
def test_impossible_acts_end_play(name: str):
    """What only a fault can have sent is not obeyed, and what was held is let go."""
    desk = Desk().armed()
    desk.act("KeyW")
    changes = dict(BAD_ACTS[name])
    desk.act(*changes.pop("held", ("KeyW",)), **changes)
    assert desk.down == set()
    assert desk.backend.moved == {}
    assert [event.kind for event in desk.revoked] == ["command"]


@pytest.mark.parametrize(
    "message",
    [
        {"op": "act"},
        {"op": "act", "epoch": 1, "seq": True, "t_ns": 0},
        {"op": "act", "epoch": 1, "seq": 5, "t_ns": 0, "held": "KeyW"},
        {"op": "act", "epoch": 1, "seq": 5, "t_ns": 0, "held": [1]},
        {"op": "act", "epoch": 1, "seq": 5, "t_ns": 0, "relative": [1]},
        {"op": "act", "epoch": 1, "seq": 5, "t_ns": 0, "axes": {"PadLX": "1"}},
        {"op": "act", "epoch": 1, "seq": 5, "t_ns": 0, "axes": {"PadLX": 10**400}},
        {"op": "game", "controls": []},
        {"op": "game", "controls": {"buttons": "KeyW"}},
        {"op": "game", "controls": {"axes": ["MouseX"]}},
        {"op": "game", "controls": {}, "rect": [1, 2, 3]},
        {"op": "game", "controls": {}, "window": "7"},
        {"op": "game", "controls": {}, "limit_s": 0},
        {"op": "game", "controls": {}, "limit_s": "long"},
        {"op": ["act"]},
        {"op": "dance"},
        {},
    ],
)
def test_malformed_messages_end_play(message: dict[str, object]):
    """A daemon that sends nonsense is not trusted further."""
    desk = Desk().armed()
    desk.act("KeyW")
    desk.say_raw(**message)
    assert desk.down == set()
    assert desk.revoked[0].kind == "command"
    assert desk.refused[-1].what == "message"


@pytest.mark.parametrize("line", [b"", b"[]", b"nonsense", b"[" * 100_000, b"\xff\xfe"])
def test_lines_that_are_no_objects(line: bytes):
    """Anything but a JSON object is a wrong message."""
    with pytest.raises(ProtocolError):
        protocol.decode_op(line)


def test_old_acts_are_dropped_and_do_not_renew_the_lease():
    """An act decided longer ago than the lease is worth nothing."""
    desk = Desk().armed()
    desk.act("KeyW")
    desk.clock.advance_ns(150 * MS)
    desk.act("KeyA", t_ns=desk.clock.now_ns() - 201 * MS)
    assert desk.down == {"KeyW"}
    desk.clock.advance_ns(50 * MS)
    desk.loop.step()
    assert desk.revoked[0].kind == "lease"
    assert "stale" in [event.why for event in desk.dropped]


def test_acts_of_an_earlier_permit_are_dropped():
    """What was under way when play ended does not end, or act in, the next play."""
    desk = Desk().armed()
    desk.press("KeyX")
    desk.release("KeyX")
    desk.ask()
    desk.act("KeyW", epoch=1, seq=0)
    assert desk.loop.playing
    assert desk.down == set()
    desk.act("KeyW")
    assert desk.down == {"KeyW"}


@pytest.mark.parametrize(
    ("physical", "held", "down"),
    [
        ((), ("AltLeft", "F4"), {"AltLeft"}),
        ((), ("AltLeft", "Tab", "KeyW"), {"AltLeft", "KeyW"}),
        (("AltRight",), ("Tab", "KeyW"), {"KeyW"}),
        (("ControlRight", "AltLeft"), ("KeyK",), set()),
        ((), ("ControlLeft", "AltLeft", "KeyK"), {"ControlLeft", "AltLeft"}),
        (("AltLeft",), ("KeyW",), {"KeyW"}),
    ],
)
def test_forbidden_chords_never_come_true(physical: tuple[str, ...], held: tuple[str, ...], down: set[str]):
    """System chords and our own hotkeys lack their last key, also together with what the player holds."""
    desk = Desk().ready()
    desk.press(*physical)
    desk.ask()
    desk.act(*held)
    assert desk.down == down
    assert desk.loop.playing


def test_single_key_hotkey_can_not_be_a_control():
    """A game that maps the kill key is refused with the reason."""
    desk = Desk()
    desk.loop._hotkeys = {"kill": ("Pause",)}
    desk.ready(Game(("Pause", "KeyW")))
    assert "Pause is both" in desk.refused[-1].reason
    desk.ask()
    assert not desk.loop.playing


@pytest.mark.parametrize("name", sorted(keys.FORBIDDEN))
def test_system_keys_are_no_controls(name: str):
    """System keys are refused when a game maps them."""
    desk = Desk()
    desk.say_raw(op="game", controls={"buttons": ["KeyW", name]})
    assert name in desk.refused[-1].reason


def test_chattering_key_is_held_back():
    """A key that changes more than 60 times a second is not pressed again until it calms down."""
    desk = Desk().armed()
    presses = 0
    for i in range(200):
        before = desk.down
        desk.act(*(("KeyW",) if i % 2 == 0 else ()))
        presses += desk.down > before
        desk.clock.advance_ns(2 * MS)
    assert presses == 30
    desk.clock.advance_ns(150 * MS)
    for _ in range(6):
        desk.act()
        desk.clock.advance_ns(150 * MS)
    desk.act("KeyW")
    assert desk.down == {"KeyW"}
    assert sum(event.count for event in desk.dropped if event.why == "changes too often") == 70


# -- properties

NAMES = st.sampled_from([*GAME.buttons, "KeyQ", "MetaLeft", "Escape"])
HELD = st.frozensets(NAMES, max_size=4)
STEPS = st.one_of(
    st.tuples(st.just("act"), HELD, st.integers(-1, 2)),
    st.tuples(st.just("good"), st.frozensets(st.sampled_from(GAME.buttons), max_size=4)),
    st.tuples(st.just("press"), st.sampled_from(["ControlLeft", "AltRight", "KeyK", "KeyP", "KeyX"]), st.booleans()),
    st.tuples(st.just("move"), st.sampled_from([1.0, 9.0])),
    st.tuples(st.just("wait"), st.integers(1, 400)),
    st.tuples(st.just("focus"), st.booleans()),
    st.tuples(st.just("ask")),
    st.tuples(st.just("game"), st.booleans()),
    st.tuples(st.just("stop")),
    st.tuples(st.just("noise"), st.binary(max_size=20)),
    st.tuples(st.just("lost")),
)


def _look_elsewhere(desk: Desk, ours: bool) -> None:
    desk.backend.window = replace(WINDOW, handle=WINDOW.handle if ours else 99)
    desk.backend.script.append(Heard(focus_changed=True))
    desk.loop.step()


def _wait(desk: Desk, ms: int) -> None:
    desk.clock.advance_ns(ms * MS)
    desk.loop.step()


def _noise(desk: Desk, line: bytes) -> None:
    desk.channel.lines.append(line)
    desk.loop.step()


def _lose(desk: Desk) -> None:
    desk.backend.script.append(Heard(lost="gone"))
    desk.loop.step()


TAKE = {
    "act": lambda desk, held, epoch: desk.act(*held, epoch=desk.epoch + epoch),
    "good": lambda desk, held: desk.act(*held),
    "press": lambda desk, name, down: desk.hear(desk.key(name, float(down))),
    "move": lambda desk, counts: desk.move("MouseX", counts),
    "wait": _wait,
    "focus": _look_elsewhere,
    "ask": lambda desk: desk.ask(),
    "game": lambda desk, small: desk.say(Game(("KeyW",)) if small else GAME),
    "stop": lambda desk: desk.say(protocol.Revoke("test")),
    "noise": _noise,
    "lost": _lose,
}


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, min_size=5, max_size=40))
def test_never_more_than_the_controls_and_nothing_after_an_end(steps: list[tuple]):
    """Whatever comes, in whatever order: only controls are down, no forbidden chord, nothing without a permit."""
    desk = Desk()
    desk.ready()
    desk.ask()
    for step in steps:
        if desk.loop.ended:
            break
        TAKE[step[0]](desk, *step[1:])
        assert desk.down <= set(GAME.buttons)
        assert desk.down == desk.loop.held
        if desk.down:
            assert desk.loop.playing
            assert desk.backend.window.handle == GAME.window or desk.loop._rules.game.window is None
        assert not {"AltLeft", "F4"} <= desk.down
        assert not {"AltLeft", "Tab"} <= desk.down
        assert not {"ControlLeft", "AltLeft", "KeyK"} <= desk.down
    armed, revoked = desk.of(protocol.Armed), desk.revoked
    assert len(armed) - len(revoked) == desk.loop.playing
    assert [event.epoch for event in armed] == list(range(1, len(armed) + 1))


@settings(max_examples=200, deadline=None)
@given(
    st.frozensets(NAMES),
    st.dictionaries(st.sampled_from(keys.RELATIVE), st.floats(allow_nan=False)),
    st.integers(),
    st.integers(),
    st.integers(),
)
def test_acts_survive_the_wire(held: frozenset[str], relative: dict[str, float], epoch: int, seq: int, t_ns: int):
    """An act arrives as it was sent, infinities too."""
    act = Act(epoch, seq, t_ns, Command(held, relative, {"PadLX": 0.5}))
    assert protocol.decode_op(protocol.encode_op(act)) == act


def test_ops_survive_the_wire():
    """Every operation arrives as it was sent."""
    ops = [
        GAME,
        Game(),
        Game(limit_s=5.0, lease_ms=300),
        protocol.ClearGame(),
        protocol.PermitRequest(5),
        protocol.Revoke("why"),
        protocol.Ping(9),
        protocol.Quit(),
    ]
    assert [protocol.decode_op(protocol.encode_op(op)) for op in ops] == ops


def test_event_times_do_not_matter_for_takeover():
    """A touch is a touch even if its device's clock is wrong."""
    desk = Desk().armed()
    desk.act("KeyW")
    desk.hear(InputEvent(5, "button", "KeyX", 1.0, "odd"))
    assert desk.down == set()
