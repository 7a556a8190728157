"""What an import leaves behind, whatever happens in between; and the verb."""

import json
import pickle
import stat
import sys

import pytest
from filelock import FileLock
from foreign import number, picture, profile, take_in

from tray_agent.clients.cli.main import main
from tray_agent.core.sample import TickFlag
from tray_agent.errors import ImportFailed, SessionError
from tray_agent.importing import session
from tray_agent.importing.item import Format, Item, Step, at_rate
from tray_agent.importing.run import HIDDEN, Outcome, Wanted, run_import
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.reader import SessionReader
from tray_agent.training.loading import load_session
from tray_agent.training.replay import Replay

GAME = profile()


def save(path, keys, count=30):
    """A recording of a small script."""
    frames = [picture(i) for i in range(count)]
    path.write_bytes(pickle.dumps({"screen_frames": frames, "key_frames": [keys] * count}))


def faulty(*items):
    """A format with these items: name -> generator of steps."""
    made = [Item(name, steps) for name, steps in items]
    return Format("test", "", lambda path: True, lambda source: iter(made))


def good():
    """Steps of a recording that is whole."""
    for i in range(40):
        yield Step(at_rate(i, 20), {"left": 1}, picture(i))


def test_session_is_like_any_other(tmp_path):
    """It is private, closed, tells where it came from, and the trainer learns from it."""
    save(tmp_path / "a.pkl", ["left"])
    outcome, (reader,) = take_in(tmp_path / "sessions", tmp_path / "a.pkl", GAME)
    assert reader.info.closed["ticks"] == len(reader) == 30
    assert reader.spec == GAME.spec()
    assert reader.info.extra["imported"] == {
        "format": "pickle", "path": str(tmp_path / "a.pkl"), "item": "a.pkl",
    }  # fmt: skip
    assert [event.control for event in reader.events] == ["ArrowLeft"]
    assert stat.S_IMODE(reader.folder.stat().st_mode) == 0o700
    assert outcome.imported[0][1].actions == 30
    replay = Replay(reader.spec, 1 << 26, 0)
    for _ in load_session(reader.folder, reader.spec, replay, is_newest=True):
        pass
    assert replay.total == 30
    assert all(sample.flags & TickFlag.LEARN for sample in reader.samples())


def test_damaged_item_is_left_out_and_the_rest_goes_on(tmp_path):
    """An error in the middle of an item costs that item, is told, and leaves nothing on the disk."""

    def torn():
        yield from list(good())[:30]
        raise ValueError("torn")

    form = faulty(("one", good), ("two", torn), ("three", good))
    outcome = Outcome()
    run_import([tmp_path], Wanted([form], GAME), tmp_path / "s", outcome, lambda item, ticks: None)
    assert [name for name, _ in outcome.imported] == ["one", "three"]
    assert outcome.skipped == [("two", "ValueError: torn")]
    assert len(list_sessions(tmp_path / "s").sessions) == 2
    assert [p.name for p in (tmp_path / "s" / HIDDEN).rglob("*") if p.is_file()] == ["lock"]


def test_interrupted_import_keeps_what_is_whole(tmp_path):
    """Ctrl-C in the second item: the first stays, nothing of the second is to be seen."""

    def interrupted():
        yield from list(good())[:30]
        raise KeyboardInterrupt

    outcome = Outcome()
    with pytest.raises(KeyboardInterrupt):
        run_import(
            [tmp_path], Wanted([faulty(("one", good), ("two", interrupted))], GAME), tmp_path / "s", outcome, print
        )
    assert len(outcome.imported) == len(list_sessions(tmp_path / "s").sessions) == 1
    assert not list_sessions(tmp_path / "s").damaged


def test_nothing_is_visible_before_it_is_whole(tmp_path):
    """While an item is read its session is not listed; what a killed import left is removed by the next one."""
    seen = []

    def watched():
        for step in good():
            seen.append(list_sessions(tmp_path / "s"))
            yield step

    left = tmp_path / "s" / HIDDEN / "g" / "20200101T000000Z-ffffff"
    left.mkdir(parents=True)
    run_import([tmp_path], Wanted([faulty(("one", watched))], GAME), tmp_path / "s", Outcome(), lambda *_: None)
    assert not any(listing.sessions or listing.damaged for listing in seen)
    assert not left.exists()
    assert len(list_sessions(tmp_path / "s").sessions) == 1


def test_two_imports_at_once_are_refused(tmp_path):
    """The second is told to wait."""
    (tmp_path / "s" / HIDDEN).mkdir(parents=True)
    with FileLock(tmp_path / "s" / HIDDEN / "lock"), pytest.raises(ImportFailed, match="another import"):
        run_import([tmp_path], Wanted([faulty()], GAME), tmp_path / "s", Outcome(), print)


def test_full_disk_ends_the_import(tmp_path, monkeypatch):
    """A disk that takes no more is no fault of an item: the import ends with the session's own error."""

    class Full(session.SessionWriter):
        def add(self, sample):
            self._fail(OSError(28, "No space left on device"))

    monkeypatch.setattr(session, "SessionWriter", Full)
    with pytest.raises(SessionError, match="space"):
        run_import([tmp_path], Wanted([faulty(("one", good))], GAME), tmp_path / "s", Outcome(), lambda *_: None)
    assert not list_sessions(tmp_path / "s").sessions


def test_item_without_a_known_action_is_refused(tmp_path):
    """None of its names can be mapped: it is left out, its names and the game's controls are said."""
    save(tmp_path / "a.pkl", ["jump", "duck"])
    outcome, _ = take_in(tmp_path / "s", tmp_path, GAME)
    assert not outcome.imported
    why = outcome.skipped[0][1]
    assert "duck, jump" in why
    assert "--map" in why
    assert "ArrowLeft, ArrowRight, Space" in why


def test_idle_item_is_refused(tmp_path):
    """A recording in which nothing is pressed teaches nothing."""
    save(tmp_path / "a.pkl", [])
    outcome, _ = take_in(tmp_path / "s", tmp_path, GAME)
    assert outcome.skipped == [("a.pkl", "nothing is pressed in it")]


def test_limit(tmp_path):
    """No more sessions than asked for."""
    for name in "abc":
        save(tmp_path / f"{name}.pkl", ["left"])
    outcome, _ = take_in(tmp_path / "s", tmp_path, GAME, limit=2)
    assert [name for name, _ in outcome.imported] == ["a.pkl", "b.pkl"]


def test_disk_limit(tmp_path):
    """When all sessions take more than they may, the import ends; what is whole stays."""
    form = faulty(("one", good), ("two", good))
    outcome = Outcome()
    with pytest.raises(ImportFailed, match="disk_gb"):
        run_import([tmp_path], Wanted([form], GAME, max_bytes=2000), tmp_path / "s", outcome, lambda *_: None)
    assert len(outcome.imported) == len(list_sessions(tmp_path / "s").sessions) == 1


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of the program with one game of the user's own."""
    (tmp_path / "home" / "config").mkdir(parents=True)
    text = "games:\n  mine:\n    vector: 500\n    match: {process: x}\n    controls: {keys: [left, space]}\n"
    (tmp_path / "home" / "config" / "games.yaml").write_text(text)
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_verb(tmp_path, home, capsys):
    """It imports into the user's sessions, with names, rate and a result for programs."""
    save(tmp_path / "a.pkl", ["go", "left", "other"])
    (tmp_path / "b.pkl").write_bytes(b"no pickle")
    words = ["import", str(tmp_path), "--game", "mine", "--map", "go=space", "--rate", "15", "--json"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["ok"]
    assert [one["ticks"] for one in told["imported"]] == [30]
    assert [one["item"] for one in told["skipped"]] == ["b.pkl"]
    assert told["not_used"] == [{"action": "other", "steps": 30, "why": "stands for no control"}]
    (listed,) = list_sessions(home / "data" / "sessions").sessions
    reader = SessionReader(listed.folder)
    assert reader.ticks.actions.tolist() == [[1, 1]] * 30
    assert number(reader.frames(7, 8)[0]) >= 0
    assert reader.info.quality == "high", "the setting's default"


def test_verb_for_people(tmp_path, home, capsys):
    """Nothing imported is a failure, and says why; a path that is nothing is named."""
    (tmp_path / "b.pkl").write_bytes(b"no pickle")
    assert main(["import", str(tmp_path / "b.pkl"), str(tmp_path / "none"), "--game", "mine"]) == 1
    out = capsys.readouterr().out
    assert "left out: b.pkl" in out
    assert "no such file or folder" in out
    assert out.endswith("0 imported, 2 left out\n")


def test_verb_lists_formats(capsys):
    """All formats, also for programs."""
    assert main(["import", "--list-formats", "--json"]) == 0
    assert "pickle" in {one["name"] for one in json.loads(capsys.readouterr().out)["formats"]}
    assert main(["import", "--list-formats"]) == 0
    assert "vpt" in capsys.readouterr().out


def test_verb_used_wrongly(home, tmp_path, capsys):
    """No path, no game, an unknown game, an unknown control: each is told apart."""
    assert main(["import", "--game", "mine"]) == 2
    assert main(["import", str(tmp_path)]) == 2
    assert main(["import", str(tmp_path), "--game", "nope"]) == 3
    save(tmp_path / "a.pkl", ["go"])
    assert main(["import", str(tmp_path), "--game", "mine", "--map", "go=KeyQ"]) == 1
    assert "KeyQ" in capsys.readouterr().err


def test_library_that_is_not_installed(home, tmp_path, monkeypatch, capsys):
    """A format whose library is missing says how to install it."""
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "a.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert main(["import", str(tmp_path / "a.hdf5"), "--game", "mine"]) == 6
    assert "pip install h5py" in capsys.readouterr().err
