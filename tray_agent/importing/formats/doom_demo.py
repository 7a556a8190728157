"""Demos of ViZDoom (.lmp): the engine plays them back, exactly but for sparks and blood, and tells what was pressed.

A demo holds no pictures and does not say what it was recorded in: it is the scenario of the game's profile.
"""

import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tray_agent.errors import CaptureLost, ImportFailed
from tray_agent.importing.item import Format, Item, Source, Step, at_rate, files_below
from tray_agent.platforms.env.doom import SCENARIOS, DoomGame, keys_of
from tray_agent.settings.games import GameProfile

_RATE_HZ = 35.0
_FORM, _KIND = b"FORM", b"ZDEM"  # ZDoom's demos; those of the old Doom engines begin with their version


def _names(profile: GameProfile) -> Mapping[str, str]:
    scenario = SCENARIOS.get(profile.environment or "")
    return dict(zip(scenario.buttons, keys_of(scenario.buttons), strict=True)) if scenario is not None else {}


def _steps(demo: Path, profile: GameProfile) -> Iterator[Step]:
    scenario = SCENARIOS.get(profile.environment or "")
    if scenario is None:
        known = ", ".join(SCENARIOS)
        raise ImportFailed(f"a demo needs the scenario it was recorded in: a game whose environment is one of {known}")
    head = demo.read_bytes()[:12]
    if head[:4] != _FORM or head[8:] != _KIND:
        raise ImportFailed("it is no demo of ViZDoom (FORM ... ZDEM)")
    with contextlib.closing(DoomGame(scenario)) as game:
        game.start()
        try:
            for count, (pixels, pressed) in enumerate(game.replay(demo)):
                yield Step(at_rate(count, _RATE_HZ), pressed, pixels)
        except CaptureLost as error:
            raise ImportFailed(str(error)) from error


def _items(source: Source) -> Iterator[Item]:
    for demo in files_below(source.path, "*.lmp"):
        yield Item(demo.name, partial(_steps, demo, source.profile))


FORMAT = Format(
    "doom-demo",
    "demos of ViZDoom (.lmp), played back in the scenario of the game's profile, 35 Hz",
    lambda path: bool(files_below(path, "*.lmp")),
    _items,
    _names,
)
