"""Runs on sessions at an address: the same as on those here, and gone on with, whatever became of either side."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from remote_shelf import Shelf, put_up
from safetensors.torch import load_file
from squares import GAME, SPEC, go, quiet, record, ticks

from tray_agent.errors import SessionError, SettingsError
from tray_agent.sessions.layout import game_folder
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.writer import SessionWriter
from tray_agent.settings import paths
from tray_agent.training.offline.options import TrainingOptions
from tray_agent.training.offline.ranks import Ranks
from tray_agent.training.offline.recordings import open_recordings
from tray_agent.training.offline.run import Run


class _Nothing:
    """Stands for what a run publishes, which takes seconds and has tests of its own."""

    def to_json(self) -> dict[str, Any]:
        return {}


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    monkeypatch.setattr("tray_agent.training.offline.publish.Publisher.publish", lambda self: _Nothing())
    torch.set_num_threads(1)
    put_up()


def same(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same weights, average and moments, to the last bit."""
    a, b = (load_file(run / "last.safetensors") for run in (one, other))
    return a.keys() == b.keys() and all(torch.equal(tensor, b[name]) for name, tensor in a.items())


def test_run_on_an_address_is_that_on_a_folder_and_goes_on_without_it(tmp_path: Path) -> None:
    """Resumed while the other machine is away, and on a machine without the copies: equal to the last bit."""
    root = tmp_path / "sessions"
    folders = [record(root, number, 120) for number in (1, 2, 3)]
    go(root, updates=6, out=tmp_path / "here", use=False)
    remote: dict[str, Any] = {"sessions": (f"shelf://{folders[0]}", *(f"file://{folder}" for folder in folders[1:]))}
    go(root, updates=2, out=tmp_path / "there", use=False, **remote)
    assert len(set(Shelf.copied)) == len(Shelf.copied) == 5  # one session of three

    put_up()
    folders[0].rename(tmp_path / "away")
    go(root, updates=4, out=tmp_path / "there", resume=True)
    assert Shelf.copied == []

    (tmp_path / "away").rename(folders[0])
    shutil.rmtree(paths.cache_folder())
    go(root, updates=6, out=tmp_path / "there", resume=True)
    assert len(Shelf.copied) == 5
    assert same(tmp_path / "here", tmp_path / "there")


def test_session_that_grew_is_learned_as_it_was(tmp_path: Path) -> None:
    """A run on a session that is being recorded elsewhere goes on with the ticks that it began with."""
    folder = game_folder(tmp_path / "sessions", GAME) / "20260101T000000Z-growing"
    writer = SessionWriter(folder, SPEC, GAME, (1.0,) + (0.0,) * 7, threaded=False)
    writer.start()
    made = ticks(200, 1)
    for one in made[:120]:
        writer.add(one)
    address: dict[str, Any] = {"sessions": (f"shelf://{folder}",), "use": False}
    go(tmp_path, updates=2, out=tmp_path / "run", **address)
    for one in made[120:]:
        writer.add(one)
    shutil.rmtree(paths.cache_folder())
    go(tmp_path, updates=4, out=tmp_path / "run", resume=True)
    go(tmp_path, updates=1, out=tmp_path / "longer", **address)
    copies = sorted(len(SessionReader(path.parent)) for path in paths.cache_folder().glob("remote/*/*/session.json"))
    assert copies[0] in (119, 120)
    assert copies[1] in (199, 200)
    writer.close()
    shutil.rmtree(paths.cache_folder())
    with pytest.raises(SessionError, match="has changed since"):
        go(tmp_path, updates=6, out=tmp_path / "run", resume=True)


def test_processes_that_see_other_sessions_are_told(tmp_path: Path) -> None:
    """Instead of shares that do not fit together."""
    folders = [record(tmp_path, number, 80) for number in (1, 2)]
    mine, theirs = (open_recordings(some, GAME, (), lambda *_: None) for some in (folders, folders[:1]))

    class Two(Ranks):
        def all_of(self, value: Any) -> list[Any]:
            return [value, theirs.fingerprint()]

    run = Run(TrainingOptions(game=GAME), Two(0, 2), quiet())
    with pytest.raises(SettingsError, match=f"do not see the same of {folders[1].name}"):
        run._compare(mine)
    run._compare(theirs)
