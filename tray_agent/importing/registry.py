"""All formats, in the order in which they are tried on a path."""

from tray_agent.errors import ImportFailed
from tray_agent.importing.formats import (
    atari_frames,
    csgo,
    doom_demo,
    lerobot,
    minari,
    owamcap,
    pickled_frames,
    rlds,
    vpt,
)
from tray_agent.importing.item import Format

FORMATS: tuple[Format, ...] = (
    lerobot.FORMAT,
    owamcap.FORMAT,
    vpt.FORMAT,
    csgo.FORMAT,
    minari.FORMAT,
    rlds.FORMAT,
    atari_frames.FORMAT,
    doom_demo.FORMAT,
    pickled_frames.FORMAT,
)
AUTO = "auto"


def formats(name: str) -> tuple[Format, ...]:
    """The format of that name, or all of them for "auto".

    Raises:
        ImportFailed: there is none.
    """
    found = FORMATS if name == AUTO else tuple(one for one in FORMATS if one.name == name)
    if not found:
        raise ImportFailed(f"no format is called {name!r}. There are {', '.join(one.name for one in FORMATS)}")
    return found
