"""One play: acts go to the guard each tick, and anything doubtful ends it with a reason and presses nothing."""

from pathlib import Path

import numpy as np
import pytest
from tiny_policy import KEYS, SPEC, graph, store

from tray_agent.capture.observer import Observation
from tray_agent.core.clock import ManualClock
from tray_agent.core.events import Command
from tray_agent.core.media import Frame
from tray_agent.play.player import Player
from tray_agent.policy.bundle import load_bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy

TICK_NS = 50_000_000


class RecordingHands:
    """Takes what a guard would take; may be slow (moves the clock) or refuse."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.acts: list[tuple[int, int, Command, int | None]] = []
        self.revoked: list[str] = []
        self.takes = True
        self.slow_ns = 0

    def act(self, epoch: int, seq: int, command: Command, t_ns: int | None = None) -> bool:
        self.clock.advance_ns(self.slow_ns)
        self.acts.append((epoch, seq, command, t_ns))
        return self.takes

    def revoke(self, reason: str) -> None:
        self.revoked.append(reason)


class Desk:
    """A player over a tiny policy, and its ticks."""

    def __init__(self, tmp_path: Path, **graph_options) -> None:
        self.clock = ManualClock()
        self.hands = RecordingHands(self.clock)
        self.tmp_path = tmp_path
        self.player = Player(self.policy(**graph_options), self.hands, 7, SPEC.rate_hz, self.clock)

    def policy(self, run: str = "r", **graph_options) -> OnnxPolicy:
        folder = store(self.tmp_path, run, SPEC, graph(SPEC, **graph_options))
        return OnnxPolicy(load_bundle(folder, SPEC), Decoding(0.0))

    def tick(self, level: int = 50, still_s: float = 0.0, shape: tuple[int, ...] = (6, 8, 3)) -> np.ndarray | None:
        self.clock.advance_ns(TICK_NS)
        now = self.clock.now_ns()
        pixels = np.full(shape, level, np.uint8)
        silence = np.zeros(SPEC.audio_shape, np.float32)
        return self.player.on_tick(Observation(now, Frame(now, pixels), silence, False, [], [], still_s))


def test_each_tick_is_an_act_with_its_permit_number_and_time(tmp_path: Path) -> None:
    """Acts carry the permit's epoch, rising numbers and the moment of the decision; the action comes back."""
    desk = Desk(tmp_path, held=[5, -5])
    actions = [desk.tick() for _ in range(3)]
    assert [a.tolist() for a in actions if a is not None] == [[1, 0]] * 3
    held = Command(frozenset({KEYS.buttons[0]}))
    assert desk.hands.acts == [(7, i, held, i * TICK_NS) for i in (1, 2, 3)]
    assert desk.player.status.decisions == 3
    assert desk.hands.revoked == []


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_policy_that_is_not_finite_ends_the_play_and_presses_nothing(tmp_path: Path, bad: float) -> None:
    """NaN or infinity: no act, one revoke with the reason, and nothing more happens in later ticks."""
    desk = Desk(tmp_path, held=[bad, 5])
    assert desk.tick() is None
    assert desk.tick() is None
    assert desk.hands.acts == []
    assert desk.hands.revoked == ["unsure: the policy's output is not finite"]
    assert "not finite" in desk.player.status.stopped


def test_error_of_the_runtime_ends_the_play(tmp_path: Path) -> None:
    """A picture of another size makes onnxruntime fail: the play ends with the reason, the tick thread lives on."""
    desk = Desk(tmp_path, held=[5, 5])
    assert desk.tick(shape=(12, 8, 3)) is None
    assert desk.hands.acts == []
    assert len(desk.hands.revoked) == 1
    assert desk.hands.revoked[0].startswith("the policy failed: ")


def test_still_picture_ends_the_play(tmp_path: Path) -> None:
    """Up to four seconds without a change are borne, then it is over; those before the play don't count."""
    desk = Desk(tmp_path, held=[5, 5])
    assert desk.tick(still_s=60.0) is not None
    desk.clock.advance_ns(4_100_000_000)
    assert desk.tick(still_s=3.9) is not None
    assert desk.tick(still_s=4.1) is None
    assert desk.hands.revoked == ["the picture has not changed for 4 s"]
    assert len(desk.hands.acts) == 2


def test_late_decisions_are_counted_and_ten_in_a_row_end_the_play(tmp_path: Path) -> None:
    """Nine late ones and a good one go on; ten late ones in a row mean that the machine is too slow."""
    desk = Desk(tmp_path, held=[5, 5])
    desk.hands.slow_ns = TICK_NS + 1
    for _ in range(9):
        assert desk.tick() is not None
    desk.hands.slow_ns = 0
    assert desk.tick() is not None
    assert desk.player.status.late == 9
    desk.hands.slow_ns = TICK_NS + 1
    assert [desk.tick() is None for _ in range(10)] == [False] * 9 + [True]
    assert desk.hands.revoked == ["this machine is too slow: 10 decisions in a row took longer than a tick"]
    assert desk.player.status.late == 19
    assert desk.player.status.inference_p99_ms >= 50


def test_act_that_was_not_taken_is_counted(tmp_path: Path) -> None:
    """A full pipe to the guard drops acts; the count tells."""
    desk = Desk(tmp_path, held=[5, 5])
    desk.hands.takes = False
    desk.tick()
    desk.hands.takes = True
    desk.tick()
    assert (desk.player.status.decisions, desk.player.status.dropped) == (2, 1)


def test_policy_is_swapped_in_the_middle_of_a_play(tmp_path: Path) -> None:
    """The next tick already decides with the newer policy, which knows the frames seen so far."""
    desk = Desk(tmp_path, held=[5, -5])
    desk.tick(level=10)
    newer = desk.policy("r2", held=[-5, 5])
    desk.player.swap(newer)
    action = desk.tick(level=20)
    assert action is not None
    assert action.tolist() == [0, 1]
    assert [int(f[0, 0, 0]) for f in newer.stack()] == [10, 10, 20]


def test_each_play_counts_how_often_it_got_unstuck(tmp_path: Path) -> None:
    """2.5 s of a picture that stands still, then habits; the next play with the same policy begins to count anew."""
    desk = Desk(tmp_path)
    habit = tuple(float(i == 0) for i in range(KEYS.size))
    policy = OnnxPolicy(load_bundle(store(tmp_path, "still", SPEC, habits=(habit,)), SPEC), Decoding(0.0))
    for _ in range(2):
        policy.reset()
        desk.player = Player(policy, desk.hands, 7, SPEC.rate_hz, desk.clock)
        for _ in range(round(2.5 * SPEC.rate_hz) + 3):
            desk.tick()
        assert desk.player.status.unstuck == 3
