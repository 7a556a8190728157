"""Reserving hotkeys by XGrabKey on the root window, so that the game does not get them and clashes come to light.

The grab is not how hotkeys are heard (raw events are); it only keeps them from others. Used by one thread.
"""

from collections.abc import Iterable
from itertools import combinations

from Xlib import XK, X, error
from Xlib.display import Display

from tray_agent.platforms.x11.connection import Keymap

_MODIFIER_KEYS = (
    "ControlLeft",
    "ControlRight",
    "ShiftLeft",
    "ShiftRight",
    "AltLeft",
    "AltRight",
    "MetaLeft",
    "MetaRight",
)
TAKEN = "taken by another program"


def reserve(display: Display, keymap: Keymap, hotkeys: dict[str, tuple[str, ...]]) -> dict[str, str]:
    """Grab each hotkey with and without the lock keys; returns hotkey name -> problem for those that failed.

    Raises:
        ConnectionClosedError: the display has gone.
    """
    masks = _modifier_masks(display, keymap)
    problems = {}
    for name, chord in hotkeys.items():
        problem = _reserve_one(display, keymap, masks, chord)
        if problem:
            problems[name] = problem
    return problems


def _reserve_one(display: Display, keymap: Keymap, masks: dict[int, int], chord: tuple[str, ...]) -> str:
    if not chord:
        return "no keys are given"
    missing = [key for key in chord if keymap.keycode(key) is None]
    if missing:
        return f"this keyboard has no {', '.join(missing)}"
    codes = [keymap.keycode(key) or 0 for key in chord]
    *before, last = codes
    if chord[-1] in _MODIFIER_KEYS or any(code not in masks for code in before):
        return ""  # X can't reserve such a chord; it is heard all the same
    wanted = 0
    for code in before:
        wanted |= masks[code]
    return "" if _grab(display, last, wanted, _lock_combinations(display)) else TAKEN


def _grab(display: Display, keycode: int, modifiers: int, locks: Iterable[int]) -> bool:
    """Grab one key with every combination of locks; all or nothing."""
    root = display.screen().root
    catch = error.CatchError(error.BadAccess)
    done = []
    for lock in locks:
        # True: our own raw events need no key events here, and other clients' windows keep their focus.
        root.grab_key(keycode, modifiers | lock, True, X.GrabModeAsync, X.GrabModeAsync, onerror=catch)
        done.append(modifiers | lock)
    display.sync()
    if catch.get_error() is None:
        return True
    for mask in done:
        root.ungrab_key(keycode, mask)
    display.sync()
    return False


def _modifier_masks(display: Display, keymap: Keymap) -> dict[int, int]:
    """Keycode of each modifier key -> the modifier bit it sets."""
    masks: dict[int, int] = {}
    wanted = {keymap.keycode(name) for name in _MODIFIER_KEYS}
    for index, codes in enumerate(display.get_modifier_mapping()):
        for code in codes:
            if code and code in wanted:
                masks[code] = masks.get(code, 0) or 1 << index
    return masks


def _lock_combinations(display: Display) -> list[int]:
    """Every combination of the lock modifiers: CapsLock, NumLock and ScrollLock must not disable a hotkey."""
    locks = {X.LockMask}
    mapping = display.get_modifier_mapping()
    for sym in (XK.XK_Num_Lock, XK.string_to_keysym("Scroll_Lock")):
        code = display.keysym_to_keycode(sym)
        locks |= {1 << index for index, codes in enumerate(mapping) if code and code in codes}
    return [sum(chosen) for n in range(len(locks) + 1) for chosen in combinations(sorted(locks), n)]
