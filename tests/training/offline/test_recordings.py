"""Which sessions go together, which are kept out of learning, and what is said of the rest."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from squares import FASTER, GAME, SPEC, VECTOR, record

from tray_agent.core.controls import Controls
from tray_agent.core.reduce import reduce
from tray_agent.errors import SessionError
from tray_agent.sessions.layout import METADATA
from tray_agent.sessions.reader import SessionReader
from tray_agent.training.offline.recordings import as_before, find_folders, open_recordings


def test_folders_of_all_shapes_are_found(tmp_path: Path) -> None:
    """A session, a folder of sessions, a root of games; nothing given is the game's own."""
    one, other = record(tmp_path, 1, 10), record(tmp_path, 2, 10)
    record(tmp_path, 3, 10, game="pong")
    for given in ([one, other], [one.parent], [tmp_path], [tmp_path, one], []):
        assert sorted(find_folders(given, tmp_path, GAME)) == [one, other]
    with pytest.raises(SessionError, match=r"empty: no sessions in it"):
        find_folders([tmp_path / "empty"], tmp_path, GAME)


def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    """Other games, other rates than the newest session's, damaged and empty ones; the rest is learned from."""
    good = [record(tmp_path, number, 10) for number in (3, 4)]
    slow, strange = record(tmp_path, 1, 10, spec=FASTER), record(tmp_path, 2, 10, game="pong")
    damaged, empty = record(tmp_path, 5, 10), record(tmp_path, 6, 0)
    (damaged / METADATA).write_text("{")
    said: dict[str, str] = {}
    found = open_recordings([*good, slow, strange, damaged, empty], GAME, (), said.__setitem__)
    assert list(found.readers) == [folder.name for folder in good]
    assert (found.spec, found.vector, found.held_out) == (SPEC, VECTOR, frozenset())
    assert said.keys() == {slow.name, strange.name, damaged.name, empty.name}
    assert said[slow.name] == "it has 4 ticks a second; the newest session, which decides, has 2 ticks a second"
    assert "pong" in said[strange.name]
    with pytest.raises(SessionError, match="no sessions of chess"):
        open_recordings(good, "chess", (), said.__setitem__)


def test_larger_pictures_are_reduced_and_smaller_ones_left_out(tmp_path: Path) -> None:
    """To the newest session's size, as capturing would have; all that differs is said in one sentence."""
    large = record(tmp_path, 1, 10, spec=replace(SPEC, frame_width=80, frame_height=72))
    small = record(tmp_path, 2, 10, spec=replace(SPEC, frame_width=20, controls=Controls(("KeyA", "KeyD")), audio=True))
    newest = record(tmp_path, 3, 10)
    said: dict[str, str] = {}
    found = open_recordings([large, small, newest], GAME, (), said.__setitem__)
    assert (list(found.readers), found.reduced) == ([large.name, newest.name], {large.name})
    assert {reader.spec for reader in found.readers.values()} == {SPEC}
    assert said == {
        small.name: "it has pictures of 20x36, the controls KeyA KeyD, sound; the newest session, which decides, "
        "has pictures of 40x36, the controls ArrowLeft ArrowRight, no sound"
    }
    whole = SessionReader(large).frames(2, 5)
    wanted = np.stack([reduce(picture, (40, 36)) for picture in whole])
    assert np.array_equal(found.readers[large.name].frames(2, 5), wanted)
    again = as_before(found.to_json(), GAME)
    assert again.reduced == found.reduced


def test_whole_sessions_are_held_out_from_three_on(tmp_path: Path) -> None:
    """The middle of three, two of twelve; those that are named; a name that is not there is told, and none is left."""
    folders = [record(tmp_path, number, 5) for number in range(3)]
    names = [folder.name for folder in folders]
    open_now = lambda held_out: open_recordings(folders, GAME, held_out, lambda *_: None)  # noqa: E731
    assert open_now(()).held_out == {names[1]}
    assert open_now((names[0], names[2])).held_out == {names[0], names[2]}
    with pytest.raises(SessionError, match="no such session"):
        open_now(("nobody",))
    with pytest.raises(SessionError, match="every session is held out"):
        open_now(names)


def test_run_finds_its_sessions_again(tmp_path: Path) -> None:
    """Held-out ones as they were; one that is gone or damaged is told."""
    folders = [record(tmp_path, number, 5) for number in range(3)]
    found = open_recordings(folders, GAME, (folders[2].name,), lambda *_: None)
    again = as_before(found.to_json(), GAME)
    assert (list(again.readers), again.held_out) == (list(found.readers), found.held_out)
    (folders[0] / METADATA).unlink()
    with pytest.raises(SessionError):
        as_before(found.to_json(), GAME)
