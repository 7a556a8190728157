"""What a format gives, whatever it looks like on the disk (no I/O)."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tray_agent.core.media import AudioChunk
from tray_agent.core.reduce import RawPixels
from tray_agent.settings.games import GameProfile


@dataclass(frozen=True, slots=True)
class Step:
    """One moment of a foreign recording.

    Attributes:
        t_ns: since the recording began; rises from step to step.
        actions: their name -> value from here to the next step: 1 while a button is held, counts moved in the step,
            position of an axis. What is not named is let go.
        pixels: the picture at `t_ns`; None where only the actions change.
    """

    t_ns: int
    actions: Mapping[str, float]
    pixels: RawPixels | None = None


@dataclass(frozen=True)
class Item:
    """One stretch of play: what becomes one session. Nothing is read before `steps` is called.

    Attributes:
        name: for messages: the file, and what of it.
        steps: reads them one by one. What is wrong with the data raises ImportFailed, OSError, ValueError and the like.
        sound: reads the sound, times as in the steps; None where there is none.
    """

    name: str
    steps: Callable[[], Iterator[Step]]
    sound: Callable[[], Iterator[AudioChunk]] | None = None


@dataclass(frozen=True)
class Source:
    """What a format is told.

    Attributes:
        path: a file or folder that it recognises.
        profile: the game the recordings are taken for.
        rate_hz: steps a second of recordings that don't tell; None for the game's own rate.
    """

    path: Path
    profile: GameProfile
    rate_hz: float | None = None

    @property
    def untold_rate_hz(self) -> float:
        """Steps a second where the recording does not tell."""
        return self.rate_hz or self.profile.rate_hz


def no_names(_profile: GameProfile) -> Mapping[str, str]:
    """For formats that have no names of their own."""
    return {}


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: as it is called on the command line.
        about: one line for people.
        recognises: whether the path looks like it; looks at names and a few bytes at most.
        items: all stretches of play of a path, in order.
        names: their action name -> ours ("ArrowUp", or "ArrowUp+Space" for two at once), for a game.
    """

    name: str
    about: str
    recognises: Callable[[Path], bool]
    items: Callable[[Source], Iterator[Item]]
    names: Callable[[GameProfile], Mapping[str, str]] = field(default=no_names)


def at_rate(index: int, rate_hz: float) -> int:
    """Time of a step, ns since the first, when `rate_hz` steps follow each other evenly."""
    return round(index * 1e9 / rate_hz)


def files_below(path: Path, *patterns: str) -> list[Path]:
    """The path itself if it is a file that fits, else all files below it that do, sorted; patterns as in `glob`."""
    if path.is_file():
        return [path] if any(path.match(pattern) for pattern in patterns) else []
    return sorted({found for pattern in patterns for found in path.rglob(pattern) if found.is_file()})
