"""The tick thread on a fake game in real time: orders, losing and reopening the screen, play that ends."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_policy
from fake_game import SPEC
from test_watcher import Fed

from tray_agent.capture.input_pump import SteppedInputs
from tray_agent.capture.observer import Observer
from tray_agent.core.clock import MonotonicClock
from tray_agent.core.desktop import Desktop
from tray_agent.core.events import Command
from tray_agent.core.sample import TickFlag
from tray_agent.daemon.tick_loop import TickLoop
from tray_agent.daemon.watcher import Watcher
from tray_agent.platforms.fake.desktop import FakeDesktop
from tray_agent.play.player import Player
from tray_agent.policy.bundle import load_bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.sessions.files import SessionFiles
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.writer import SessionWriter

RATE_HZ = 100.0


class Hands:
    """Counts acts and keeps reasons."""

    def __init__(self) -> None:
        self.acts = 0
        self.revoked: list[str] = []

    def act(self, epoch: int, seq: int, command: Command, t_ns: int | None = None) -> bool:
        self.acts += 1
        return True

    def revoke(self, reason: str) -> None:
        self.revoked.append(reason)


class Scene:
    """A running tick loop over a fake game."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = MonotonicClock()
        self.fake = FakeDesktop(self.clock, SPEC.frame_width, SPEC.frame_height)
        self.spec = replace(SPEC, rate_hz=RATE_HZ)
        desktop = Desktop(
            "fake", lambda _: self.fake.screen, lambda: self.fake.inputs, lambda: self.fake.window, "fake",
            clock=self.clock,
        )  # fmt: skip
        self.observer = Observer(desktop, self.spec, SteppedInputs(self.fake.inputs), 1 << 22)
        self.loop = TickLoop(self.clock)
        self.hands = Hands()
        self.fed = Fed()
        self.loop.start()

    def until(self, condition: Callable[[], object], what: str) -> None:
        end = time.monotonic() + 10.0
        while not condition():
            assert time.monotonic() < end, f"waited in vain for {what}: {self.loop.report} {self.loop.failure}"
            time.sleep(0.002)

    def show(self) -> None:
        """The game comes to the front."""
        self.loop.order(lambda loop: loop.set_game(self.observer, RATE_HZ))
        self.loop.order(lambda loop: loop.set_front(True, (1, 2, 3, 4)))
        self.until(lambda: self.loop.report.frames > 3, "frames")

    def watch(self, threaded: bool = False) -> Watcher:
        writer = SessionWriter(self.folder / "session", self.spec, "toy", [0.0] * 8, threaded=threaded)
        writer.start()
        watcher = Watcher(self.spec, writer, self.fed, idle_after_s=60.0)  # type: ignore[arg-type]
        self.loop.order(lambda loop: loop.begin_watch(watcher))
        self.until(lambda: watcher.status.ticks > 3, "samples")
        return watcher

    def policy(self, **options: object) -> OnnxPolicy:
        folder = tiny_policy.store(self.folder, "r", self.spec, tiny_policy.graph(self.spec, **options))
        return OnnxPolicy(load_bundle(folder, self.spec), Decoding(0.0))

    def play(self, **options: object) -> Player:
        policy = self.policy(**options)
        player = Player(policy, self.hands, 1, RATE_HZ, self.clock)
        self.loop.order(lambda loop: loop.set_policy(policy))
        self.loop.order(lambda loop: loop.begin_play(player))
        return player


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.loop.request_stop()
    assert scene.loop.join(5.0)
    assert scene.loop.failure is None


def test_frames_are_taken_only_in_front(scene: Scene) -> None:
    """Nothing is looked at before the game is in front, nor after it left; the region is told to the screen."""
    scene.loop.order(lambda loop: loop.set_game(scene.observer, RATE_HZ))
    done: list[int] = []
    scene.loop.order(lambda loop: done.append(loop.report.frames))
    scene.until(lambda: done, "the order")
    assert done == [0]
    scene.show()
    assert scene.loop.report.running
    assert scene.fake.screen.region == (1, 2, 3, 4)
    scene.loop.order(lambda loop: loop.set_front(False, None))
    scene.until(lambda: not scene.loop.report.running, "rest")
    frames = scene.loop.report.frames
    scene.loop.order(lambda loop: done.append(loop.report.frames))
    scene.until(lambda: len(done) == 2, "the order")
    assert done[1] == frames


def test_lost_screen_ends_play_interrupts_watching_and_is_reopened(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CaptureLost: play stops with the reason, watching pauses, the screen is opened anew and a GAP follows."""
    monkeypatch.setattr("tray_agent.daemon.tick_loop._REOPEN_NS", 50_000_000)
    scene.show()
    watcher = scene.watch()
    player = scene.play(held=[5, -5])
    scene.until(lambda: scene.hands.acts > 3, "acts")
    scene.fake.screen.region = None
    scene.fake.screen.fail_with = "the display is gone"
    scene.until(lambda: scene.loop.report.screen_problem == "the display is gone", "the loss to be told")
    scene.until(lambda: watcher.status.paused == "the display is gone", "watching to pause")
    assert scene.hands.revoked == ["the screen is lost: the display is gone"]
    assert player.status.stopped == "the screen is lost: the display is gone"
    before = len(scene.fed.samples)
    scene.fake.screen.fail_with = ""
    scene.until(lambda: len(scene.fed.samples) > before + 2, "watching to go on")
    assert scene.loop.report.screen_problem == ""
    assert scene.fed.samples[before].flags & TickFlag.GAP
    assert scene.fake.screen.region == (1, 2, 3, 4)
    assert not scene.fed.samples[-1].flags & TickFlag.AGENT


def test_left_game_pauses_watching(scene: Scene) -> None:
    """Another window in front interrupts at once; back in front a GAP follows."""
    scene.show()
    watcher = scene.watch()
    scene.loop.order(lambda loop: loop.set_front(False, None))
    scene.until(lambda: watcher.status.paused == "the game is not in front", "the pause")
    before = len(scene.fed.samples)
    scene.loop.order(lambda loop: loop.set_front(True, (1, 2, 3, 4)))
    scene.until(lambda: len(scene.fed.samples) > before, "watching to go on")
    assert scene.fed.samples[before].flags & TickFlag.GAP


def test_play_acts_each_tick_and_its_ticks_are_the_agents(scene: Scene) -> None:
    """Between permit and its end there are acts and AGENT ticks; a takeover begins a correction."""
    scene.show()
    scene.watch()
    scene.play(held=[5, -5])
    scene.until(lambda: scene.hands.acts > 5, "acts")
    scene.loop.order(lambda loop: loop.end_play(True))
    scene.until(lambda: scene.fed.samples[-1].flags & TickFlag.CORRECTION, "the correction")
    acts = scene.hands.acts
    agents = [s for s in scene.fed.samples if s.flags & TickFlag.AGENT]
    assert len(agents) == acts
    assert all(s.action.tolist() == [1, 0] for s in agents)
    assert scene.fed.marks[0][2] == TickFlag.STRAYED


def test_play_before_the_first_frame_is_no_crash(scene: Scene) -> None:
    """A permit while the screen can't be opened: nothing is pressed, and the loop lives."""
    scene.fake.screen.fail_with = "not yet"
    scene.loop.order(lambda loop: loop.set_game(scene.observer, RATE_HZ))
    scene.loop.order(lambda loop: loop.set_front(True, None))
    scene.play(held=[5, 5])
    scene.until(lambda: scene.hands.revoked, "the play to end")
    assert scene.hands.acts == 0


def test_slow_disk_at_the_end_of_watching_does_not_hold_up_the_play(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The session is closed beside the ticks: the agent acts on, and the thread's end waits for the writer."""
    let_go = threading.Event()
    finish = SessionFiles.finish

    def slowly(files: SessionFiles, counts: dict[str, Any]) -> None:
        assert let_go.wait(10.0)
        finish(files, counts)

    monkeypatch.setattr(SessionFiles, "finish", slowly)
    scene.show()
    watcher = scene.watch(threaded=True)
    scene.play(held=[5, -5])
    ended: list[int] = []
    scene.loop.order(lambda loop: loop.end_watch())
    scene.loop.order(lambda _: ended.append(scene.hands.acts))
    scene.until(lambda: ended and scene.hands.acts > ended[0] + 5, "acts after the end of watching")
    assert not watcher.writer.join(0)
    let_go.set()
    scene.loop.request_stop()
    assert scene.loop.join(5.0)
    assert watcher.writer.join(0)
    assert SessionReader(watcher.writer.folder).info.closed


def test_nan_policy_ends_the_play_and_watching_goes_on(scene: Scene) -> None:
    """A policy that is not finite is stopped in its first tick, without an act."""
    scene.show()
    scene.watch()
    scene.play(held=[np.nan, 0])
    scene.until(lambda: scene.hands.revoked, "the play to end")
    assert scene.hands.acts == 0
    assert "not finite" in scene.hands.revoked[0]
    before = len(scene.fed.samples)
    scene.until(lambda: len(scene.fed.samples) > before + 3, "watching to go on")
    assert not any(s.flags & TickFlag.AGENT for s in scene.fed.samples)
