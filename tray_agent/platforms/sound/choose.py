"""Which sound source this machine uses (no state, no threads)."""

import sys

from tray_agent.core.clock import Clock
from tray_agent.core.ports import AudioSource


def make_audio_source(clock: Clock, device: str | None = None) -> AudioSource:
    """The source for this system, not yet started; its `start` raises PlatformUnavailable with a remedy.

    Args:
        clock: the desktop's clock; must be real time.
        device: a Pulse source on Linux, an input device (such as a virtual loopback) on macOS; None for the default.
    """
    if sys.platform == "win32":
        from tray_agent.platforms.sound.wasapi import WasapiLoopback

        return WasapiLoopback(clock)
    else:  # noqa: RET505 - so that type checkers see each system's branch
        from tray_agent.platforms.sound.pulse import PulseMonitor

        return PulseMonitor(clock, device)
