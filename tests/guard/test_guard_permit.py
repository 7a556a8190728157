"""Permit, hotkey detector and takeover detector by themselves."""

import pytest

from tray_agent.core.events import InputEvent
from tray_agent.guard.chords import ChordDetector, fold
from tray_agent.guard.permit import HumanAct, Permit
from tray_agent.guard.takeover import TouchDetector


def _key(control: str, value: float = 1.0, t_ns: int = 0, device: str = "a", own: bool = False) -> InputEvent:
    return InputEvent(t_ns, "button", control, value, device, own)


def test_permit_starts_revoked():
    """Nothing may be pressed before a grant."""
    permit = Permit()
    assert not permit.held
    assert not permit.allows(0, 0)
    assert permit.granted_by is None


def test_permit_allows_its_epoch_until_it_expires():
    """A grant holds for its own epoch and its own time only."""
    permit = Permit()
    permit.grant(HumanAct.HOTKEY, 3, 100)
    assert permit.allows(3, 99)
    assert not permit.allows(3, 100)
    assert not permit.allows(2, 50)
    assert (permit.epoch, permit.expires_ns, permit.granted_by) == (3, 100, HumanAct.HOTKEY)


def test_permit_latches_when_revoked():
    """Revoking is idempotent, and only a newer grant ends it."""
    permit = Permit()
    permit.grant(HumanAct.REQUEST, 1, 100)
    assert permit.revoke()
    assert not permit.revoke()
    assert not permit.allows(1, 0)
    permit.grant(HumanAct.REQUEST, 2, 100)
    assert permit.allows(2, 0)


def test_permit_refuses_an_old_epoch():
    """An epoch is never used twice."""
    permit = Permit()
    permit.grant(HumanAct.HOTKEY, 2, 100)
    with pytest.raises(ValueError, match="not newer"):
        permit.grant(HumanAct.HOTKEY, 2, 100)


def test_permit_needs_a_human_act():
    """Nothing but a HumanAct grants."""
    with pytest.raises(ValueError, match="human act"):
        Permit().grant("policy", 1, 100)  # type: ignore[arg-type]


CHORDS = {"kill": ("ControlLeft", "AltLeft", "KeyK"), "play": ("ControlLeft", "AltLeft", "KeyP")}


def test_chord_fires_on_its_last_key():
    """A chord fires once, when its last key joins the others, and knows when the gesture began."""
    detector = ChordDetector(CHORDS)
    assert detector.feed(_key("ControlLeft", t_ns=1)) == ()
    assert detector.feed(_key("AltLeft", t_ns=2)) == ()
    (fired,) = detector.feed(_key("KeyP", t_ns=3))
    assert (fired.name, fired.began_ns, fired.t_ns) == ("play", 1, 3)
    assert detector.feed(_key("KeyP", t_ns=4)) == ()  # key repeat


def test_chord_takes_right_modifiers_and_other_devices():
    """Left and right modifiers are the same, and the keys may be on several keyboards."""
    detector = ChordDetector(CHORDS)
    detector.feed(_key("ControlRight", device="b"))
    detector.feed(_key("AltRight"))
    assert [fired.name for fired in detector.feed(_key("KeyP", device="c"))] == ["play"]


def test_only_kill_fires_in_any_order():
    """Kill fires whatever key comes last; play does not."""
    for name, fires in (("KeyK", ["kill"]), ("KeyP", [])):
        detector = ChordDetector(CHORDS)
        detector.feed(_key(name))
        detector.feed(_key("ControlLeft"))
        assert [fired.name for fired in detector.feed(_key("AltLeft"))] == fires


def test_chord_ignores_own_events_and_released_keys():
    """The agent can't press a hotkey; a key let go no longer counts."""
    detector = ChordDetector(CHORDS)
    detector.feed(_key("ControlLeft", own=True))
    detector.feed(_key("AltLeft"))
    assert detector.feed(_key("KeyK")) == ()
    detector.feed(_key("ControlLeft"))
    detector.feed(_key("KeyK", 0.0))
    detector.feed(_key("AltLeft", 0.0))
    assert detector.feed(_key("KeyK")) == ()
    assert detector.held == {"ControlLeft", "KeyK"}


def test_chord_forgets():
    """After missed events nothing is believed to be down."""
    detector = ChordDetector(CHORDS)
    detector.feed(_key("ControlLeft"))
    detector.forget()
    assert detector.held == frozenset()


def test_chord_ignores_motion():
    """Only buttons make chords."""
    assert ChordDetector(CHORDS).feed(InputEvent(0, "relative", "MouseX", 5.0)) == ()


def test_fold():
    """Only modifiers have sides."""
    assert (fold("ShiftRight"), fold("ArrowLeft")) == ("Shift", "ArrowLeft")


@pytest.mark.parametrize(
    ("kind", "control", "value", "touched"),
    [
        ("button", "KeyX", 1.0, True),
        ("button", "KeyX", 0.0, False),
        ("button", "PadA", 1.0, True),
        ("relative", "WheelY", -1.0, True),
        ("relative", "WheelX", 0.0, False),
        ("relative", "MouseX", 7.9, False),
        ("relative", "MouseY", -8.0, True),
        ("axis", "PadLX", 0.25, False),
        ("axis", "PadLX", -0.26, True),
    ],
)
def test_touch(kind: str, control: str, value: float, touched: bool):
    """Presses, wheel, a real movement or a stick off its centre are touches; their noise is not."""
    event = InputEvent(0, kind, control, value)  # type: ignore[arg-type]
    assert TouchDetector().feed(event) == (control if touched else "")
    own = InputEvent(0, kind, control, value, own=True)  # type: ignore[arg-type]
    assert TouchDetector().feed(own) == ""


def test_motion_adds_up_within_a_tenth_of_a_second():
    """Small movements add up, but only while they follow each other quickly."""
    detector = TouchDetector()
    slow = [InputEvent(i * 60_000_000, "relative", "MouseX", 3.0) for i in range(20)]
    assert not any(detector.feed(event) for event in slow)
    detector.forget()
    quick = [InputEvent(i * 10_000_000, "relative", "MouseX", -3.0) for i in range(3)]
    assert [detector.feed(event) for event in quick] == ["", "", "MouseX"]
