"""Whether sound can be heard on this machine, tried for real (for `doctor`; no threads)."""

import sys
import time
from typing import TypedDict

from tray_agent.core.clock import MonotonicClock
from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.sound.choose import make_audio_source


class CheckResult(TypedDict):
    """One line of `doctor`; `state` is "works", "degraded" or "missing"."""

    name: str
    state: str
    tried: str
    remedy: str


SERVER_REMEDY = (
    "Start PulseAudio or PipeWire (pipewire-pulse) in this session, or set audio: false in the game's profile"
)


def check(timeout_s: float = 4.0) -> CheckResult:
    """Record from the default output for a moment; takes up to `timeout_s` where nothing answers."""
    source = make_audio_source(MonotonicClock())
    try:
        source.start()
    except PlatformUnavailable as error:
        return CheckResult(
            name="sound", state="missing", tried=str(error).removesuffix(error.remedy).strip(), remedy=error.remedy
        )
    try:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            heard = sum(len(c.samples) for c in source.read() if not c.gap)
            if heard:
                backend = getattr(source, "backend", "WASAPI loopback")
                tried = f"recorded {heard} samples of the default output through {backend}"
                return CheckResult(name="sound", state="works", tried=tried, remedy="")
            time.sleep(0.02)
        problem = getattr(source, "problem", "") or "the default output delivered nothing"
    finally:
        source.close()
    remedy = "Switch an output device on" if sys.platform == "win32" else SERVER_REMEDY
    return CheckResult(name="sound", state="missing", tried=f"listened for {timeout_s:g} s: {problem}", remedy=remedy)
