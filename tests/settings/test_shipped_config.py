"""The files that come with the program are right, current, and packed."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tray_agent.platforms.env.catalog import catalog
from tray_agent.settings import paths
from tray_agent.settings.app import AppSettings
from tray_agent.settings.games import GameProfile, GamesFile
from tray_agent.settings.load import load
from tray_agent.settings.schema import schemas

ROOT = Path(__file__).parents[2]
SHIPPED = load(paths.shipped_folder() / "games.yaml", GamesFile).profiles()
REAL_GAMES = {
    "doom", "lbreakout2", "chromium-bsu", "extremetuxracer", "neverball", "supertux2", "gnome-nibbles", "2048-qt",
    "x11-snake",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REAL_GAMES))
def test_real_game_is_shipped(name: str) -> None:
    """Each real game has a window to look for and a policy that fits."""
    profile = SHIPPED[name]
    assert profile.match is not None
    assert profile.spec().controls.size > 0


@pytest.mark.parametrize("profile", [p for p in SHIPPED.values() if p.environment], ids=lambda p: p.name)
def test_packaged_game_fits_its_environment(profile: GameProfile) -> None:
    """A packaged game's profile has exactly the controls and the rate of the game it names."""
    info = catalog()[str(profile.environment)].make_game().info
    assert profile.controls == info.controls
    assert profile.rate_hz == info.rate_hz


def test_shipped_ids_leave_room_for_the_user() -> None:
    """Shipped vectors are ids below 100, so that no update can clash with a user's own games."""
    assert all(isinstance(p.vector, int) and p.vector < 100 for p in SHIPPED.values())


def test_shipped_app_file_states_the_defaults() -> None:
    """The commented file says what the program does without it, line for line."""
    path = paths.shipped_folder() / "tray_agent.yaml"
    assert load(path, AppSettings) == AppSettings()
    text = path.read_text("utf-8")
    for name, field in AppSettings.model_fields.items():
        assert re.search(rf"^{name}:", text, re.MULTILINE), name
        for inner in getattr(field.default, "model_fields_set", ()) or getattr(type(field.default), "model_fields", ()):
            assert re.search(rf"^  {inner}:", text, re.MULTILINE), f"{name}.{inner}"


@pytest.mark.parametrize("name", sorted(schemas()))
def test_published_schema_is_current(name: str) -> None:
    """The published schema is the one of the models ('tray-agent games schema --write config/schema' makes it)."""
    published = json.loads((paths.shipped_folder() / "schema" / name).read_text("utf-8"))
    assert published == json.loads(schemas()[name])


@pytest.mark.parametrize("name", ["games", "tray_agent"])
def test_editors_find_the_schema(name: str) -> None:
    """The first line of each file leads an editor to its schema."""
    path = paths.shipped_folder() / f"{name}.yaml"
    first = path.read_text("utf-8").splitlines()[0]
    target = first.removeprefix("# yaml-language-server: $schema=")
    assert target != first
    assert (path.parent / target).is_file()


def test_build_packs_the_configuration() -> None:
    """Every shipped file is told to the build, and goes where an installed program looks for it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packed = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    for path in (ROOT / "config").rglob("*"):
        if path.is_file():
            source = next(part for part in (path, *path.parents) if part.relative_to(ROOT).as_posix() in packed)
            assert packed[source.relative_to(ROOT).as_posix()] == f"tray_agent/_config/{source.name}"
