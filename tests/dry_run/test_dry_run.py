"""A bundle plays along with a recording: what it would press, numbers, video, the command line; nothing is pressed."""

import json
from pathlib import Path

import av
import numpy as np
import pytest
import tiny_policy

from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.main import main
from tray_agent.core.sample import TickFlag, TickSample
from tray_agent.dry_run.overlay import Sheet
from tray_agent.dry_run.run import DryRun, dry_run
from tray_agent.dry_run.summary import summary
from tray_agent.errors import BundleError, SessionError
from tray_agent.policy.bundle import load_bundle
from tray_agent.policy.decode import Decoding
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.sessions.files import SessionFiles
from tray_agent.sessions.layout import begin
from tray_agent.sessions.reader import SessionReader

PLAYER, AGENT = (255, 170, 40), (70, 200, 255)
COUNT = 80


def record(folder: Path, count: int = COUNT, agent: range = range(0)) -> SessionReader:
    """Every ten ticks it gets bright and dark; the player holds both keys while it is bright, the left one alone from
    tick 40 on."""
    spec = tiny_policy.SPEC
    files = SessionFiles(folder, begin(spec, "toy", [0.5] * 8, 0, {}))
    files.open()
    for tick in range(count):
        bright = tick // 10 % 2
        pixels = np.full((spec.frame_height, spec.frame_width, 3), 200 * bright, np.uint8)
        action = np.array([bright, bright and tick < 40], np.float32)
        flags = TickFlag.AGENT if tick in agent else TickFlag.LEARN
        audio = np.zeros(spec.audio_shape, np.float32)
        files.write(TickSample(tick, tick * 50_000_000, pixels, audio, action, flags))
    files.finish({})
    return SessionReader(folder)


def bundle(models: Path) -> Path:
    """Holds both keys while it is bright."""
    return tiny_policy.store(models, onnx_bytes=tiny_policy.graph(held=[-100, -100], brightness=1.0))


@pytest.fixture
def policy(tmp_path: Path) -> OnnxPolicy:
    return OnnxPolicy(load_bundle(bundle(tmp_path / "models")), Decoding())


def run(reader: SessionReader, policy: OnnxPolicy) -> DryRun:
    return dry_run(reader, policy, lambda row, sample, would: None)


def test_what_would_be_pressed(tmp_path: Path, policy: OnnxPolicy) -> None:
    """Tick by tick, told in order."""
    reader, told = record(tmp_path / "s"), []
    ran = dry_run(reader, policy, lambda row, sample, would: told.append((row, sample.tick, would.tolist())))
    bright = np.arange(COUNT) // 10 % 2
    assert np.array_equal(ran.would, np.stack([bright, bright], axis=1))
    assert np.array_equal(ran.did, reader.ticks.actions)
    assert told[15] == (15, 15, [1.0, 1.0])
    assert (ran.decided_ms > 0).all()


def test_numbers(tmp_path: Path, policy: OnnxPolicy) -> None:
    """Measures by key beside copying the last action and doing nothing; where the two differ most."""
    found = summary(run(record(tmp_path / "s"), policy))
    left, right = found["controls"]["ArrowLeft"], found["controls"]["ArrowRight"]
    assert left["policy"] == {"accuracy": 1.0, "balanced_accuracy": 1.0, "change_f1": 1.0}
    assert left["copy_last"]["change_f1"] == 0.0
    assert left["released"]["balanced_accuracy"] == 0.5
    assert (right["player_held"], right["agent_held"]) == (0.25, 0.5)
    assert right["policy"]["accuracy"] == 0.75
    worst = found["differ_most"]
    assert [(one["from_s"], one["share"], one["controls"]) for one in worst] == [
        (2.0, 0.5, ["ArrowRight"]),
        (3.0, 0.5, ["ArrowRight"]),
    ]
    assert (found["ticks"], found["compared"], found["seconds"]) == (COUNT, COUNT, 4.0)
    assert found["decision_ms"]["max"] >= found["decision_ms"]["p99"] >= found["decision_ms"]["median"]


def test_ticks_of_an_agent_do_not_count(tmp_path: Path, policy: OnnxPolicy) -> None:
    """Only what the player did is compared."""
    found = summary(run(record(tmp_path / "s", agent=range(40, COUNT)), policy))
    assert found["compared"] == 40
    assert found["buttons"]["policy"]["accuracy"] == 1.0
    assert found["differ_most"] == []
    alone = summary(run(record(tmp_path / "t", agent=range(COUNT)), policy))
    assert (alone["compared"], alone["buttons"], alone["controls"]) == (0, {}, {})


def test_session_without_ticks(tmp_path: Path, policy: OnnxPolicy) -> None:
    """It says so."""
    with pytest.raises(SessionError, match="no ticks"):
        run(record(tmp_path / "s", 0), policy)


def test_policy_gone_mad(tmp_path: Path) -> None:
    """Output that is not finite ends it with the bundle's name."""
    folder = tiny_policy.store(tmp_path / "models", onnx_bytes=tiny_policy.graph(held=[np.nan, 0]))
    with pytest.raises(BundleError, match=r"r1: .* not finite at tick 0"):
        run(record(tmp_path / "s", 3), OnnxPolicy(load_bundle(folder), Decoding()))


def test_drawing(tmp_path: Path) -> None:
    """Keys are lit in the row of the hand that holds them; the picture's pixels are squares."""
    reader = record(tmp_path / "s")
    sheet, samples = Sheet(reader), list(reader.samples())
    dark = sheet.draw(samples[0], np.array([0, 0], np.float32))
    held = sheet.draw(samples[15], np.array([0, 1], np.float32))
    assert dark.shape == (*sheet.size[::-1], 3)
    assert (dark.shape[0] % 2, dark.shape[1] % 2) == (0, 0)

    def area(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
        return int((picture == colour).all(axis=-1).sum())

    assert area(held, PLAYER) > 3 * area(dark, PLAYER), "both of the player's keys"
    assert area(dark, AGENT) < area(held, AGENT) < area(held, PLAYER), "one of the agent's"
    assert area(held, (200, 200, 200)) > 300 * 300


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a session and a bundle of "toy"."""
    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path))
    record(tmp_path / "data" / "sessions" / "toy" / "20260101T000000Z-aaaaaa")
    bundle(tmp_path / "data" / "models")
    return tmp_path


def test_verb(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`play --from-session latest` takes the game's current bundle; --json has the same numbers."""
    assert main(["play", "--from-session", "latest"]) == ExitCode.OK
    text = capsys.readouterr().out
    assert "nothing is pressed" in text
    assert "differs  at 2.0 s, in 50% of a second's ticks: ArrowRight" in text
    assert main(["play", "--from-session", "toy/latest", "--json"]) == ExitCode.OK
    told = json.loads(capsys.readouterr().out)
    assert told["controls"]["ArrowRight"]["policy"]["accuracy"] == 0.75
    assert Path(told["bundle"]).name == "r1"


def test_video(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many pictures as ticks, at their times; an existing file is refused."""
    out = home / "run.mp4"
    assert main(["play", "--from-session", "latest", "--video", str(out)]) == ExitCode.OK
    with av.open(str(out)) as container:
        times = [frame.time for frame in container.decode(video=0)]
    assert np.allclose(times, np.arange(COUNT) / 20, atol=1e-4)
    assert main(["play", "--from-session", "latest", "--video", str(out)]) == ExitCode.FAILURE
    assert "exists" in capsys.readouterr().err
    assert [one.name for one in home.iterdir() if one.name.startswith(".")] == []


def test_refusals(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No bundle, or one for other controls; what belongs to a dry run alone makes no sense."""
    (home / "data" / "models" / "toy" / "current.json").unlink()
    assert main(["play", "--from-session", "latest"]) == ExitCode.REFUSED
    assert "no bundle" in capsys.readouterr().err
    other = tiny_policy.PolicySpec(tiny_policy.KEYS, rate_hz=10, frame_width=8, frame_height=6, frames=3)
    folder = tiny_policy.store(home / "elsewhere", spec=other)
    assert main(["play", "--from-session", "latest", "--bundle", str(folder)]) == ExitCode.REFUSED
    assert "rate_hz" in capsys.readouterr().err
    assert main(["play", "--video", "x.mp4"]) == ExitCode.USAGE
