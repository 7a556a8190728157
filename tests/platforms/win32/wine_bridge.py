"""Runs the Windows backends' calls in Wine's real user32, through a small program built with mingw-w64.

`WineCaller` stands where `NativeCaller` stands on Windows: names, integers and the exact bytes of our structures go
to `bridge.c`, which calls the function and sends back the result and the bytes as the call left them.
"""

import ctypes
import os
import shutil
import struct
import subprocess
import threading
from pathlib import Path
from typing import Any

from tray_agent.platforms.win32.api import text

MINGW = shutil.which("x86_64-w64-mingw32-gcc")
WINE = next((p for p in ("/usr/lib/wine/wine64", "/usr/lib/wine64/wine64") if Path(p).exists()), shutil.which("wine64"))
WINESERVER = next((p for p in ("/usr/lib/wine/wineserver64", "/usr/lib/wine/wineserver") if Path(p).exists()), None)
SOURCE = Path(__file__).with_name("bridge.c")
NOTE = struct.Struct("<IIIIQ")


def compile_bridge(folder: Path) -> Path:
    """Build the Windows program; raises CalledProcessError with the compiler's words."""
    program = folder / "bridge.exe"
    options = ["-O1", "-Wall", "-Wno-cast-function-type", "-mconsole"]
    subprocess.run([str(MINGW), *options, str(SOURCE), "-o", str(program)], check=True, capture_output=True)
    return program


def wine_environment(prefix: Path, display: str) -> dict[str, str]:
    """Environment that keeps Wine to itself: own prefix, no downloads, no chatter."""
    keep = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "TMPDIR")}
    return keep | {
        "HOME": str(prefix.parent), "WINEPREFIX": str(prefix), "WINEDEBUG": "-all", "DISPLAY": display,
        "WINEDLLOVERRIDES": "mscoree,mshtml,winemenubuilder.exe=",
    }  # fmt: skip


def opens_windows(program: Path, environment: dict[str, str]) -> bool:
    """Whether a program in this prefix, made if need be, gets a window."""
    caller = WineCaller(program, environment)
    caller.start()
    try:
        return caller.call("bridge.OpenFront", text("probe")) != 0
    except OSError:
        return False
    finally:
        caller.close()


def stop_wine(environment: dict[str, str]) -> None:
    """End every Wine process of this prefix, and wait for it."""
    if WINESERVER:
        for order in ("-k", "-w"):
            subprocess.run([WINESERVER, order], env=environment, check=False, timeout=20)


class WineCaller:
    """Caller that works in a Wine process."""

    def __init__(self, program: Path, environment: dict[str, str]) -> None:
        self._command = [str(WINE), str(program)]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None
        self._error = 0
        self.pipe_handle = 0
        self._one_at_a_time = threading.Lock()

    def start(self) -> None:
        if self._process is None:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=self._environment
            )

    def call(self, function: str, *args: Any) -> int:
        """All calls run in the Wine program's one thread, whichever thread asks."""
        with self._one_at_a_time:
            return self._call(function, *args)

    def _call(self, function: str, *args: Any) -> int:
        if self._process is None or self._process.stdin is None:
            raise OSError("the Wine program is not running")
        name = function.encode()
        message = struct.pack("<H", len(name)) + name + bytes([len(args)])
        for a in args:
            if a is None or isinstance(a, int):
                message += b"i" + struct.pack("<Q", (a or 0) & 0xFFFF_FFFF_FFFF_FFFF)
            else:
                message += b"b" + struct.pack("<I", ctypes.sizeof(a)) + bytes(a)
        self._process.stdin.write(message)
        self._process.stdin.flush()
        result, self._error = struct.unpack("<QI", self._read(12))
        for a in args:
            if not (a is None or isinstance(a, int)):
                ctypes.memmove(ctypes.byref(a), self._read(ctypes.sizeof(a)), ctypes.sizeof(a))
        return int(result)

    def _read(self, size: int) -> bytes:
        assert self._process is not None
        assert self._process.stdout is not None
        watchdog = threading.Timer(30.0, self._process.kill)
        watchdog.start()
        try:
            data = self._process.stdout.read(size)
        finally:
            watchdog.cancel()
        if len(data) != size:
            raise OSError("the Wine program died or hung")
        return data

    def last_error(self) -> int:
        return self._error

    def handle_of(self, fd: int) -> int:
        """The Windows pipe that stands for whatever `fd` is."""
        if not self.pipe_handle:
            raise OSError("no pipe")
        return self.pipe_handle

    def close(self) -> None:
        if self._process is not None:
            for stream in (self._process.stdin, self._process.stdout):
                assert stream is not None
                stream.close()
            self._process.kill()
            self._process.wait()
            self._process = None
