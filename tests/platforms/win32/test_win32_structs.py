"""The ctypes structures and constants against the real Windows headers, by the mingw-w64 compiler. Nothing is run."""

import ctypes
import subprocess

import pytest
import wine_bridge

from tray_agent.platforms.win32 import structs

needs_mingw = pytest.mark.skipif(
    wine_bridge.MINGW is None, reason="mingw-w64 (Debian: gcc-mingw-w64-x86-64) is missing"
)

_ANONYMOUS = {"RAWMOUSE": {"_pad"}, "INPUT": {"u"}}
_CONSTANTS = {"HID_USAGE_MOUSE": "0x02", "HID_USAGE_KEYBOARD": "0x06", "HID_USAGE_PAGE_GENERIC": "0x01"}
_SPELLED = {
    "TOKEN_INTEGRITY_LEVEL": "TokenIntegrityLevel",
    "DPI_AWARENESS_CONTEXT_PER_MONITOR_AWARE_V2": "(INT_PTR)DPI_AWARENESS_CONTEXT_PER_MONITOR_AWARE_V2",
    "HWND_MESSAGE": "(INT_PTR)HWND_MESSAGE",
}
_HEAD = """#define _WIN32_WINNT 0x0A00
#include <stddef.h>
#include <windows.h>
#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 0x2
#endif
"""


def _layout_claims() -> list[str]:
    claims = []
    for name, kind in vars(structs).items():
        if not (isinstance(kind, type) and issubclass(kind, ctypes.Structure)):
            continue
        claims.append(f"sizeof({name}) == {ctypes.sizeof(kind)}")
        for field, *_ in kind._fields_:
            if field not in _ANONYMOUS.get(name, ()):
                claims.append(f"offsetof({name}, {field}) == {getattr(kind, field).offset}")
    claims.append(f"offsetof(INPUT, mi) == {structs.INPUT.u.offset}")
    claims.append(f"offsetof(INPUT, ki) == {structs.INPUT.u.offset}")
    return claims


def _constant_claims() -> list[str]:
    values = {n: v for n, v in vars(structs).items() if n.isupper() and isinstance(v, int) and n not in _CONSTANTS}
    return [f"(long long)({_SPELLED.get(n, n)}) == (long long){v}" for n, v in values.items() if n != "QS_ALLINPUT"]


def _compile(claims: list[str], tmp_path) -> subprocess.CompletedProcess[str]:
    source = tmp_path / "claims.c"
    source.write_text(_HEAD + "".join(f'_Static_assert({c}, "{c}");\n' for c in claims))
    return subprocess.run(
        [wine_bridge.MINGW, "-fsyntax-only", str(source)], capture_output=True, text=True, check=False
    )


@needs_mingw
def test_layouts_are_those_of_the_windows_headers(tmp_path):
    """Every structure has the size and field offsets that a 64-bit Windows compiler gives it."""
    claims = _layout_claims()
    assert len(claims) > 40
    result = _compile(claims, tmp_path)
    assert result.returncode == 0, result.stderr


@needs_mingw
def test_constants_are_those_of_the_windows_headers(tmp_path):
    """Every constant has its header's value."""
    claims = _constant_claims()
    assert len(claims) > 50
    result = _compile(claims, tmp_path)
    assert result.returncode == 0, result.stderr


@needs_mingw
def test_a_wrong_claim_is_noticed(tmp_path):
    """The compiler check fails when a size is wrong, so the other tests mean something."""
    assert _compile(["sizeof(INPUT) == 28"], tmp_path).returncode != 0


def test_waiting_covers_raw_input_and_hotkeys():
    """The wait mask has the raw input (0x400) and hotkey (0x80) bits, whose header value depends on the version."""
    assert structs.QS_ALLINPUT & 0x480 == 0x480


def test_input_is_the_size_send_input_demands():
    """An INPUT is 40 bytes on 64-bit Windows wherever the module is imported."""
    assert ctypes.sizeof(structs.INPUT) == 40
