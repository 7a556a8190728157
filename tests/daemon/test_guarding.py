"""The daemon's guard: a real guard process, refused, killed, replaced."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tray_agent.core.desktop import Desktop
from tray_agent.core.events import Command
from tray_agent.daemon.guarding import Guarding
from tray_agent.guard.protocol import Armed, Game, GuardEvent, Lost, Revoked
from tray_agent.platforms.fake.desktop import FakeDesktop

HOTKEYS = {"kill": ("ControlLeft", "AltLeft", "KeyK")}
GAME = Game(buttons=("ArrowLeft",), lease_ms=5000)


def desktop(backend: str, **options: object) -> Desktop:
    """A desktop of which only the guard's side is used."""
    unused = FakeDesktop.__new__(FakeDesktop)
    return Desktop("test", lambda _: unused.screen, lambda: unused.inputs, lambda: unused.window, backend, options)


def until(guarding: Guarding, condition: Callable[[list[GuardEvent]], object], what: str) -> list[GuardEvent]:
    """Poll until the events so far fit."""
    events: list[GuardEvent] = []
    end = time.monotonic() + 15.0
    while not condition(events):
        assert time.monotonic() < end, f"waited in vain for {what}: {events}, {guarding.problem}"
        events += guarding.poll()
        time.sleep(0.005)
    return events


@pytest.fixture
def guarding(tmp_path: Path) -> Iterator[Guarding]:
    """Guarding with a guard that writes what it would press."""
    guarding = Guarding(desktop("log", path=str(tmp_path / "commands.jsonl")), HOTKEYS, 5000)
    guarding.start()
    yield guarding
    guarding.request_stop()
    assert guarding.join(5.0)


def armed(guarding: Guarding) -> int:
    """Have play permitted; its epoch."""
    assert guarding.ask_permit() == ""
    events = until(guarding, lambda seen: any(isinstance(e, Armed) for e in seen), "the permit")
    return next(e.epoch for e in events if isinstance(e, Armed))


def written(tmp_path: Path) -> list[list[str]]:
    return [json.loads(line)["held"] for line in (tmp_path / "commands.jsonl").read_text().splitlines()]


def test_act_reaches_the_guard_and_revoke_lets_go(guarding: Guarding, tmp_path: Path) -> None:
    """With a game and a permit acts are carried out; revoke releases and says so."""
    assert guarding.problem == ""
    assert guarding.pid > 0
    guarding.set_game(GAME)
    epoch = armed(guarding)
    assert guarding.act(epoch, 1, Command(frozenset({"ArrowLeft"})))
    until(guarding, lambda _: ["ArrowLeft"] in written(tmp_path), "the press")
    guarding.revoke("enough")
    events = until(guarding, lambda seen: any(isinstance(e, Revoked) for e in seen), "the end")
    assert next(e for e in events if isinstance(e, Revoked)).reason == "enough"
    assert written(tmp_path)[-1] == []


@pytest.mark.skipif(os.name == "nt", reason="kill -9 is POSIX")
def test_killed_guard_is_told_and_replaced_and_knows_the_game(guarding: Guarding) -> None:
    """kill -9: Lost comes, then a new guard that can be armed for the same game without being told anew."""
    guarding.set_game(GAME)
    armed(guarding)
    old = guarding.pid
    os.kill(old, signal.SIGKILL)
    events = until(guarding, lambda seen: any(isinstance(e, Lost) for e in seen), "the loss")
    assert guarding.problem == next(e.reason for e in events if isinstance(e, Lost))
    assert guarding.ask_permit() == guarding.problem
    assert not guarding.act(1, 1, Command())
    until(guarding, lambda _: guarding.pid not in {0, old}, "another guard")
    assert guarding.problem == ""
    armed(guarding)


def test_without_a_guard_everything_is_refused_with_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A backend that can't work: the reason is kept, told to who asks, and it is tried again."""
    monkeypatch.setattr("tray_agent.daemon.guarding._RETRY_S", 0.05)
    (tmp_path / "file").write_text("")
    guarding = Guarding(desktop("log", path=str(tmp_path / "file" / "commands.jsonl")), HOTKEYS, 200)
    guarding.start()
    assert "can't write the command log" in guarding.problem
    assert "can't write the command log" in guarding.ask_permit()
    assert guarding.pid == 0
    assert not guarding.act(1, 1, Command(frozenset({"ArrowLeft"})))
    guarding.revoke("nothing to revoke")
    guarding.set_game(GAME)
    starts: list[int] = []
    real = guarding.start
    monkeypatch.setattr(guarding, "start", lambda: (starts.append(1), real()))
    until(guarding, lambda _: starts, "another try")
    assert "can't write the command log" in guarding.problem
    guarding.request_stop()
    assert guarding.join(1.0)


def test_other_hotkeys_mean_another_guard(guarding: Guarding) -> None:
    """Changed hotkeys start a new guard, the same ones keep the old; play in progress ends and is told."""
    guarding.set_game(GAME)
    armed(guarding)
    old = guarding.pid
    guarding.replace(HOTKEYS, 5000)
    assert guarding.pid == old
    guarding.replace({"kill": ("F8",)}, 5000)
    assert guarding.pid not in {0, old}
    events = until(guarding, lambda seen: any(isinstance(e, Revoked) for e in seen), "the end of the old play")
    assert events
    armed(guarding)


def test_whether_it_presses(guarding: Guarding) -> None:
    """A guard that only writes says so; as long as none has, it counts as one that presses."""
    assert not guarding.presses
    assert Guarding(desktop("log"), HOTKEYS, 5000).presses
