"""What the peers share: recordings, windows, codes of actions, imports."""

import subprocess
import sys

import numpy as np
import pytest
import session_data
import toy_play

from tray_agent.core.clock import ManualClock
from tray_agent.core.sample import TickFlag
from tray_agent.errors import SessionError
from tray_agent.evaluation.peers.actions import ActionCode
from tray_agent.evaluation.peers.history import RecentFrames, Windows, grey
from tray_agent.evaluation.peers.recordings import recording_of
from tray_agent.sessions.writer import SessionWriter


def write(folder, ticks, flags=None, spec=session_data.SPEC):
    writer = SessionWriter(folder, spec, "toy", session_data.VECTOR, clock=ManualClock(), threaded=False)
    writer.start()
    for tick in ticks:
        writer.add(session_data.sample(tick, spec=spec, flags=(flags or {}).get(tick, TickFlag.LEARN)))
    assert writer.close()
    return folder


def test_sessions_become_one_recording(tmp_path):
    odd = {0: TickFlag.LEARN | TickFlag.GAP, 3: TickFlag.AGENT, 5: TickFlag.LEARN | TickFlag.STRAYED,
           7: TickFlag.LEARN | TickFlag.GAP}  # fmt: skip
    folders = [write(tmp_path / "a", range(9), odd), write(tmp_path / "b", range(150))]
    data = recording_of(folders)
    kept = [0, 1, 2, 4, 6, 7, 8, *range(150)]
    assert len(data) == len(kept)
    assert data.starts == [0, 3, 4, 5, 7]
    assert (data.frames == np.stack([session_data.pixels(tick) for tick in kept])).all()
    assert (data.actions == np.stack([session_data.sample(tick).action for tick in kept])).all()
    assert data.audio[:, 0, 0] == pytest.approx(np.array(kept) / 8, abs=0.01)
    assert (data.spec, data.vector) == (session_data.SPEC, tuple(session_data.VECTOR))


def test_sessions_that_make_no_recording(tmp_path):
    one, other = write(tmp_path / "a", range(3)), write(tmp_path / "b", range(3), spec=session_data.SILENT)
    with pytest.raises(SessionError, match="otherwise"):
        recording_of([one, other])
    with pytest.raises(SessionError, match="no session"):
        recording_of([])
    with pytest.raises(SessionError, match="nothing to learn"):
        recording_of([write(tmp_path / "c", range(2), {0: TickFlag.AGENT, 1: TickFlag.AGENT})])


def test_history_does_not_reach_over_starts():
    windows = Windows(8, [0, 5], 4)
    assert windows.rows(np.array([0, 2, 4, 5, 6])).tolist() == [
        [0, 0, 0, 0], [0, 0, 1, 2], [1, 2, 3, 4], [5, 5, 5, 5], [5, 5, 5, 6],
    ]  # fmt: skip


def test_history_at_play_is_that_of_learning():
    frames = np.arange(6, dtype=np.uint8)[:, None]
    recent, windows = RecentFrames(3), Windows(6, [0, 4], 3)
    for i, frame in enumerate(frames):
        if i == 4:
            recent.reset()
        assert (recent.push(frame) == frames[windows.rows(np.array([i]))[0]]).all()


def test_frames_seen_before_stay_when_the_caller_uses_its_buffer_again():
    recent, buffer = RecentFrames(2), np.zeros(1, np.uint8)
    recent.push(buffer)
    buffer[:] = 9
    assert recent.push(buffer).ravel().tolist() == [0, 9]


def test_grey_is_luma():
    colours = np.array([[[[255, 0, 0]]], [[[0, 255, 0]]], [[[0, 0, 255]]], [[[255, 255, 255]]]], np.uint8)
    assert grey(colours).ravel().tolist() == pytest.approx([76, 150, 29, 255], abs=1)


def test_actions_and_back():
    controls = session_data.CONTROLS
    actions = np.array([[1, 0, 4, -0.5], [1, 1, -8, 0.5], [1, 0, 0, 0.5], [0, 0, 0, 0]], np.float32)
    code = ActionCode.of(controls, actions)
    assert code.combinations.tolist() == [[0, 0], [1, 0], [1, 1]]
    assert code.classes(actions).tolist() == [1, 2, 1, 0]
    assert np.square(code.others(actions)).mean(0) == pytest.approx([1, 1])
    for row, held, others in zip(actions, code.held(actions), code.others(actions), strict=True):
        assert code.action(held, others) == pytest.approx(row)
    wild = code.action(np.array([0.49, 0.51], np.float32), np.array([1e3, -1e3], np.float32))
    assert wild.tolist() == [0, 1, 4, -0.5]


def test_the_registry_imports_no_peer():
    code = ("import sys; import tray_agent.evaluation.peers.registry, tray_agent.evaluation.peers.recordings; "
            "print(sorted({'torch', 'imitation', 'stable_baselines3', 'onnxruntime'} & set(sys.modules)))")  # fmt: skip
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_toy_play_can_be_told_apart():
    data = toy_play.recording((28, 28))
    assert len(np.unique(data.actions, axis=0)) == 2
