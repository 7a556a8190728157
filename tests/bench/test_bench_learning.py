"""`bench learning`, in its pieces: each way learns for a moment, the network is the other's, rounds make numbers."""

import argparse
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tray_agent.bench import learning, learning_round
from tray_agent.bench.nature_cnn import NATURE
from tray_agent.core.clock import ManualClock
from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.errors import PlatformUnavailable, TrayAgentError
from tray_agent.evaluation.peers import registry
from tray_agent.sessions.catalogue import list_sessions
from tray_agent.sessions.layout import new_folder
from tray_agent.sessions.reader import SessionReader
from tray_agent.sessions.writer import SessionWriter
from tray_agent.training.model import PolicyNet

SPEC = PolicySpec(Controls(("ArrowUp", "ArrowDown")), rate_hz=15, frame_width=84, frame_height=84)
TICKS = 80
THEIRS = {"samples_per_s": 500.0, "parameters": 10, "batch": 32, "ticks": 9}


def options(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    learning.add_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def sessions(tmp_path: Path) -> Path:
    """A short play."""
    writer = SessionWriter(new_folder(tmp_path, "toy"), SPEC, "toy", [1.0] * 8, clock=ManualClock(), threaded=False)
    writer.start()
    silence = np.zeros(SPEC.audio_shape, np.float32)
    for tick in range(TICKS):
        pixels = np.full((84, 84, 3), tick, np.uint8)
        action = np.array([tick // 8 % 2, tick // 16 % 2], np.float32)
        writer.add(TickSample(tick, tick * 66_666_667, pixels, silence, action, TickFlag.LEARN))
    assert writer.close()
    return tmp_path


@pytest.mark.parametrize("way", learning_round.WAYS)
def test_each_way_learns_and_says_how_fast(way: str, sessions: Path) -> None:
    """A moment of learning gives a rate, and the size of what has learned."""
    try:
        found = learning_round.WAYS[way](sessions, 1, 0.05)
    except PlatformUnavailable as error:
        pytest.skip(str(error))
    assert found["samples_per_s"] > 0
    assert found["ticks"] == TICKS
    assert found["batch"] == (32 if way == "imitation" else 64)
    if way != "own_network":  # NatureCNN itself has 1,684,128 behind four frames of 84 x 84
        assert 0 <= found["parameters"] - 1_684_128 < 0.04 * 1_684_128


def test_the_network_is_the_librarys() -> None:
    """The same layers, and with the same weights the same features of the same grey frames; colours do not matter."""
    spaces = pytest.importorskip("gymnasium.spaces", reason="gymnasium is not installed")
    layers = pytest.importorskip("stable_baselines3.common.torch_layers", reason="stable-baselines3 is not installed")
    theirs = layers.NatureCNN(spaces.Box(0, 255, (4, 84, 84), np.uint8))
    net = PolicyNet(SPEC, NATURE.make(SPEC)).eval()
    net.encoder.convolutions.load_state_dict(theirs.cnn.state_dict())
    planes = torch.randint(0, 256, (2, 6, 84, 84), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        features = net.encoder(planes, torch.zeros(2, 8))
        torch.testing.assert_close(features, theirs.cnn(planes[:, :4] / 255.0), atol=1e-4, rtol=1e-3)
        colourless = torch.cat([planes[:, :4], torch.zeros_like(planes[:, 4:])], dim=1)
        torch.testing.assert_close(net.encoder(colourless, torch.zeros(2, 8)), features)
    assert net.trunk[0].out_features == theirs.linear[0].out_features
    assert net.trunk[0].in_features == theirs.linear[0].in_features + 64  # what it hears


def test_recorded_play_is_of_the_size_that_both_learn(tmp_path: Path) -> None:
    """One session of 84 x 84 in which the player plays."""
    pytest.importorskip("ale_py", reason="ale-py is not installed")
    learning.record_play(tmp_path, 0.05)
    (listed,) = list_sessions(tmp_path).sessions
    reader = SessionReader(listed.folder)
    assert (reader.spec.frame_width, reader.spec.frame_height, reader.spec.frames) == (84, 84, 4)
    assert len(reader) == round(0.05 * 60 * reader.spec.rate_hz)


def test_numbers_are_medians_and_ratios() -> None:
    """Rounds of three ways -> flat numbers."""
    rates = [(500.0, 1500.0, 900.0), (400.0, 1600.0, 1000.0), (600.0, 1200.0, 1100.0)]
    ways = ("imitation", "same_network", "own_network")
    rounds = [{way: THEIRS | {"samples_per_s": x} for way, x in zip(ways, one, strict=True)} for one in rates]
    metrics = learning.summary(rounds)
    assert metrics["imitation_samples_per_s"] == 500
    assert metrics["same_network_samples_per_s"] == 1500
    assert metrics["own_network_samples_per_s"] == 1000
    assert (metrics["ratio"], metrics["ratio_min"], metrics["ratio_max"]) == (3.0, 2.0, 4.0)
    assert metrics["ratio_own_network"] == 2.0
    assert (metrics["imitation_parameters"], metrics["same_network_batch"], metrics["ticks"]) == (10, 32, 9)


@pytest.fixture
def unwatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a game nor the library is needed."""
    monkeypatch.setitem(registry.PEERS, "imitation", lambda: None)
    monkeypatch.setattr(learning, "record_play", lambda folder, minutes: None)


@pytest.mark.usefixtures("unwatched")
def test_each_round_asks_every_way_in_turn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process for each turn, told what to do; its numbers come out."""
    log = tmp_path / "asked"
    script = f"import sys; open({str(log)!r}, 'a').write(' '.join((sys.argv[1], *sys.argv[3:])) + chr(10));"
    script += f"print({{'result': {THEIRS!r}}}.__repr__().replace(chr(39), chr(34)))"
    monkeypatch.setattr(learning, "_COMMAND", (sys.executable, "-c", script))
    result = learning.run(options("--rounds", "2", "--seconds", "0.5", "--threads", "3"))
    turns = [f"{way} 3 0.5" for way in ("imitation", "same_network", "own_network")]
    assert log.read_text().splitlines() == turns * 2
    assert result["metrics"]["ratio"] == 1.0
    assert (result["metrics"]["rounds"], result["metrics"]["threads"], result["metrics"]["seconds"]) == (2, 3, 0.5)
    assert result["machine"]["cores"] >= 1
    assert result["differs"]


@pytest.mark.usefixtures("unwatched")
def test_a_turn_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its way and its last words."""
    monkeypatch.setattr(learning, "_COMMAND", (sys.executable, "-c", "import sys; sys.exit('no such thing')"))
    with pytest.raises(TrayAgentError, match="imitation could not be taken: no such thing"):
        learning.run(options())


def test_missing_packages_are_told_before_anything_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with what to install."""

    def without_torch() -> None:
        raise ImportError("No module named 'torch'")

    def without_imitation() -> None:
        raise PlatformUnavailable("the peer 'imitation' can't be used", "Install it")

    for missing, said in ((without_torch, "pip install torch"), (without_imitation, "Install it")):
        monkeypatch.setitem(registry.PEERS, "imitation", missing)
        with pytest.raises(PlatformUnavailable, match=said):
            learning.run(options())


@pytest.mark.parametrize("wrong", [("--rounds", "0"), ("--seconds", "0"), ("--minutes", "nan"), ("--seconds", "x")])
def test_options_that_mean_nothing_are_refused(wrong: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    """With the value that was wrong."""
    with pytest.raises(SystemExit):
        options(*wrong)
    assert "is not a number above 0" in capsys.readouterr().err
