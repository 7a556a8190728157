"""The ports of a desktop. Nothing above `platforms` knows more of the outer world than these.

Every source follows one life: the constructor stores, `start()` acquires, `close()` releases and is idempotent.
Errors of the OS come out as `PlatformUnavailable` (at start) or `CaptureLost` (later), with a remedy.
"""

from typing import Protocol

from tray_agent.core.events import Command, InputEvent, WindowInfo
from tray_agent.core.media import AudioChunk, Frame


class ScreenSource(Protocol):
    """Pictures of one region, already reduced to the size the policy sees."""

    def start(self) -> None: ...

    def grab(self) -> Frame:
        """The picture as it is now; blocks no longer than the grab takes. Raises CaptureLost."""
        ...

    def set_region(self, rect: tuple[int, int, int, int] | None) -> None:
        """Capture (left, top, width, height) in screen pixels from now on; None for the whole screen."""
        ...

    def close(self) -> None: ...


class AudioSource(Protocol):
    """Sound the machine plays.

    Attributes:
        problem: why nothing is heard right now, "" while all is well (a silent game is well).
    """

    problem: str

    def start(self) -> None: ...

    def read(self) -> list[AudioChunk]:
        """All that arrived since the last call, in order, never blocking; gaps come as marked silence."""
        ...

    def close(self) -> None: ...


class InputSource(Protocol):
    """Everything pressed and moved; `InputEvent.own` tells the agent's own."""

    def start(self) -> None: ...

    def read(self, timeout_s: float) -> list[InputEvent]:
        """Events since the last call, in order; waits up to `timeout_s` for the first."""
        ...

    def close(self) -> None: ...


class InputSink(Protocol):
    """Presses things. Only the guard holds one."""

    def start(self) -> None: ...

    def apply(self, command: Command) -> None:
        """Make exactly `command.held` be down (of what this sink pressed) and perform the moves."""
        ...

    def release_all(self) -> None:
        """Let go of everything this sink pressed; never raises."""
        ...

    def close(self) -> None: ...


class WindowProbe(Protocol):
    """Which window is in front."""

    def start(self) -> None: ...

    def active(self) -> WindowInfo | None:
        """The window in front, None when there is none."""
        ...

    def close(self) -> None: ...
