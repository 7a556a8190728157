"""Hotkeys through RegisterHotKey: a second ear beside Raw Input, and the way to notice a clash (standard library only).

Windows ties a registration to the thread that made it: the guard's.
"""

from tray_agent.core.events import InputEvent
from tray_agent.platforms.win32 import structs
from tray_agent.platforms.win32.api import Api
from tray_agent.platforms.win32.rawinput import RawListener, virtual_keys

_MODIFIERS = {
    "ControlLeft": structs.MOD_CONTROL, "ControlRight": structs.MOD_CONTROL, "AltLeft": structs.MOD_ALT,
    "AltRight": structs.MOD_ALT, "ShiftLeft": structs.MOD_SHIFT, "ShiftRight": structs.MOD_SHIFT,
    "MetaLeft": structs.MOD_WIN, "MetaRight": structs.MOD_WIN,
}  # fmt: skip
_FIRST_NUMBER = 0x5441


class Hotkeys:
    """Registered combinations of one window."""

    def __init__(self, api: Api, listener: RawListener) -> None:
        self._api = api
        self._listener = listener
        self._keys: dict[int, tuple[str, ...]] = {}

    def register(self, hotkeys: dict[str, tuple[str, ...]]) -> dict[str, str]:
        """Reserve all; returns name -> why not."""
        problems = {}
        for number, (name, keys) in enumerate(hotkeys.items(), _FIRST_NUMBER):
            if problem := self._register_one(number, keys):
                problems[name] = problem
            else:
                self._keys[number] = keys
        return problems

    def _register_one(self, number: int, keys: tuple[str, ...]) -> str:
        if not keys or any(key not in _MODIFIERS for key in keys[:-1]):
            return f"{'+'.join(keys) or 'nothing'}: Windows needs Ctrl, Alt, Shift or Win, and then one key"
        modifiers = 0
        for key in keys[:-1]:
            modifiers |= _MODIFIERS[key]
        try:
            virtual_key = virtual_keys(self._api, keys[-1])[0]
        except KeyError:
            return f"{keys[-1]} is no keyboard key"
        error = self._api.register_hotkey(self._listener.window, number, modifiers, virtual_key)
        if error == structs.ERROR_HOTKEY_ALREADY_REGISTERED:
            return f"{'+'.join(keys)} is taken by another program; choose other keys or close that program"
        return f"{'+'.join(keys)} was refused by Windows (error {error}); choose other keys" if error else ""

    def pressed(self, number: int, held_by_us: frozenset[str]) -> list[InputEvent]:
        """Presses that a hotkey proves and Raw Input has not told; none for what we hold down ourselves."""
        keys = self._keys.get(number, ())
        return [
            self._listener.note_down(key) for key in keys if key not in held_by_us and not self._listener.has_heard(key)
        ]

    def close(self) -> None:
        for number in self._keys:
            self._api.unregister_hotkey(self._listener.window, number)
        self._keys.clear()
