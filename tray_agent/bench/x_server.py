"""An Xvfb of a benchmark's own: it picks a free display number itself and is ended by its pid."""

import os
import select
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tray_agent.errors import PlatformUnavailable

_START_S = 20.0
_STOP_S = 5.0


@contextmanager
def own_x_server(width: int, height: int) -> Iterator[str]:
    """Name of a fresh 24-bit display, for as long as the block lasts.

    Raises:
        PlatformUnavailable: no Xvfb, or it did not come up.
    """
    if shutil.which("Xvfb") is None:
        raise PlatformUnavailable("Xvfb is not installed", "Install it (Debian: apt install xvfb)")
    told, tells = os.pipe()
    options = ["-screen", "0", f"{width}x{height}x24", "-nolisten", "tcp", "-noreset", "-displayfd", str(tells)]
    try:
        server = subprocess.Popen(["Xvfb", *options], pass_fds=[tells], stderr=subprocess.DEVNULL)
    finally:
        os.close(tells)
    try:
        yield f":{_number(told)}"
    finally:
        server.terminate()
        try:
            server.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait(_STOP_S)


def _number(told: int) -> str:
    """The display number that the server writes, in decimal and with a line feed."""
    text = b""
    with os.fdopen(told, "rb", buffering=0) as pipe:
        while not text.endswith(b"\n"):
            chunk = pipe.read(16) if select.select([pipe], [], [], _START_S)[0] else b""
            if not chunk:
                raise PlatformUnavailable("Xvfb did not start", "Try it by hand: Xvfb :99")
            text += chunk
    return text.decode().strip()
