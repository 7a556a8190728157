"""A desktop: anything with a screen, sound and inputs. Made by `app`, used by the daemon (no I/O here)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tray_agent.core.clock import Clock, MonotonicClock
from tray_agent.core.policy import PolicySpec
from tray_agent.core.ports import AudioSource, InputSource, ScreenSource, WindowProbe


@dataclass(frozen=True)
class Desktop:
    """Factories of one desktop's ports; nothing is opened before `start()` of what they make.

    Attributes:
        name: kind of desktop ("x11", "env", ...), for status.
        screen: frame source for a spec's picture size.
        inputs: what is pressed.
        window: what is in front.
        audio: sound source, None where there is none; `no_audio` then says why.
        guard_backend, guard_options: which backend the guard shall use, and its keyword arguments.
        clock: the desktop's time.
        audio_lag_ns: by how much sound is heard late; the same for watching and playing (0 in lockstep).
        speed: how many seconds of game time pass in one real second (packaged games may run faster).
    """

    name: str
    screen: Callable[[PolicySpec], ScreenSource]
    inputs: Callable[[], InputSource]
    window: Callable[[], WindowProbe]
    guard_backend: str
    guard_options: Mapping[str, Any] = field(default_factory=dict)
    audio: Callable[[], AudioSource] | None = None
    no_audio: str = ""
    clock: Clock = field(default_factory=MonotonicClock)
    speed: float = 1.0
    audio_lag_ns: int = 30_000_000
