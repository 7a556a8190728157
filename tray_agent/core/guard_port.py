"""What the guard needs of a platform (standard library only).

A backend is used by the guard's single thread. It presses, and it hears every device of the player, in one object,
because only the one who presses can tell its own events from the player's.
"""

from dataclasses import dataclass, field
from typing import Protocol

from tray_agent.core.events import Command, InputEvent, WindowInfo

NO_PAD = "no game had pad controls when the guard was started; quit Tray Agent and start it again"
"""What a backend without pads reports as `no_pad`."""


@dataclass(frozen=True)
class BackendReport:
    """What `start()` found. Play is refused unless `hears_player` and no kill hotkey problem.

    Attributes:
        hears_player: whether a touch by the player would be noticed; if not, `why_deaf` tells why.
        hotkey_problems: hotkey name -> why it could not be registered ("taken by another program").
        presses: False when commands are only written down, so that nothing needs to be heard to be safe.
        no_pad: why games with pad controls can't be played, with the remedy; "" when they can.
    """

    hears_player: bool
    why_deaf: str = ""
    hotkey_problems: dict[str, str] = field(default_factory=dict)
    presses: bool = True
    no_pad: str = ""


@dataclass(frozen=True)
class Heard:
    """What came in during one `wait`.

    Attributes:
        events: input of all devices in order; `own=True` for what this backend pressed itself.
        focus_changed: the window in front may have changed; ask `active()`.
        lost: the connection to the platform broke ("" while it stands); nothing more will come.
        commands_ready: the file descriptor given to `wait` is readable.
    """

    events: tuple[InputEvent, ...] = ()
    focus_changed: bool = False
    lost: str = ""
    commands_ready: bool = False


class GuardBackend(Protocol):
    """One platform's hands and ears."""

    def start(self, hotkeys: dict[str, tuple[str, ...]]) -> BackendReport:
        """Connect; reserve each hotkey (name -> keys held together, last one pressed last) where the system can.

        Hotkeys need not be reported specially: their keys come as events like all others.
        Raises PlatformUnavailable.
        """
        ...

    def wait(self, command_fd: int, timeout_s: float) -> Heard:
        """Sleep until something comes in, `command_fd` is readable, or `timeout_s` passed. Never raises."""
        ...

    def active(self) -> WindowInfo | None:
        """The window in front."""
        ...

    def apply(self, command: Command) -> None:
        """Make exactly `command.held` be down among what this backend pressed, move relatives, set axes.

        Raises OSError when the platform is gone.
        """
        ...

    def release_all(self) -> tuple[str, ...]:
        """Let go of all this backend pressed, centre axes; returns the names released. Never raises.

        A key that the player holds physically is not taken from them where the platform can tell.
        """
        ...

    def release_leftovers(self) -> tuple[str, ...]:
        """Let go of whatever an earlier, killed guard left down; returns names (for release-all). Never raises."""
        ...

    def close(self) -> None:
        """Release, disconnect; idempotent, never raises."""
        ...
