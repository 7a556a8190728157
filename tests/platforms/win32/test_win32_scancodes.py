"""Scan codes: complete, unambiguous, with the extended bit where games look for it."""

import pytest

from tray_agent.core import keys
from tray_agent.platforms.win32 import scancodes
from tray_agent.platforms.win32.scancodes import SCAN_CODES, VIRTUAL_KEYS, ScanCode, name_of


def test_every_key_has_a_scan_code_and_virtual_keys():
    """All key names of the vocabulary are covered, and no others."""
    assert set(SCAN_CODES) == keys.KEYS
    assert set(VIRTUAL_KEYS) == keys.KEYS
    assert set(scancodes.MOUSE_VIRTUAL_KEYS) == set(keys.MOUSE_BUTTONS)


@pytest.mark.parametrize(
    "name",
    ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Insert", "Delete", "Home", "End", "PageUp", "PageDown",
     "ControlRight", "AltRight", "NumpadEnter", "NumpadDivide", "MetaLeft", "MetaRight", "ContextMenu", "PrintScreen"],
)  # fmt: skip
def test_navigation_and_right_hand_keys_are_extended(name):
    """Keys that share a code with the numpad or the left hand carry the E0 bit."""
    assert SCAN_CODES[name].extended


@pytest.mark.parametrize("name", ["Numpad8", "ControlLeft", "AltLeft", "Enter", "Slash", "KeyW", "ShiftRight"])
def test_their_twins_are_not_extended(name):
    """The keys they would be mistaken for don't carry it."""
    assert not SCAN_CODES[name].extended


def test_known_codes():
    """Spot checks against the AT keyboard's set 1."""
    assert SCAN_CODES["KeyW"] == (0x11, False)
    assert SCAN_CODES["ArrowUp"] == (0x48, True)
    assert SCAN_CODES["Space"] == (0x39, False)
    assert SCAN_CODES["F12"] == (0x58, False)
    assert SCAN_CODES["IntlBackslash"] == (0x56, False)


def test_names_survive_the_way_there_and_back():
    """What a key sends is decoded as that key; only Pause goes by its virtual key."""
    for name, scan in SCAN_CODES.items():
        assert name_of(scan, VIRTUAL_KEYS[name][0]) == name


def test_parts_of_other_sequences_have_no_name():
    """The fake shifts around Print and the second half of Pause are dropped, unknown keys as well."""
    assert name_of(ScanCode(0x2A, True), 0xFF) is None
    assert name_of(ScanCode(0x36, True), 0x10) is None
    assert name_of(ScanCode(0x45, False), 0xFF) is None
    assert name_of(ScanCode(0x6F, True), 0) is None


def test_pause_and_alt_print_are_recognised():
    """Pause comes as E1 1D, Print with Alt held as 54."""
    assert name_of(ScanCode(0x1D, False), 0x13) == "Pause"
    assert name_of(ScanCode(0x54, False), 0x2C) == "PrintScreen"
