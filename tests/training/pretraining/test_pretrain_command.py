"""`tray-agent pretrain`: flags, what is found and left out, whole runs, what ends them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recorded_games import SPEC, write
from rich.console import Console
from safetensors import safe_open

from tray_agent.clients.cli import train
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.main import main
from tray_agent.errors import PlatformUnavailable, SettingsError, TrayAgentError
from tray_agent.sessions.layout import METADATA, VIDEO
from tray_agent.settings import paths
from tray_agent.training.encoders.source import make_encoder
from tray_agent.training.offline.progress import Progress
from tray_agent.training.pretraining import __main__ as process
from tray_agent.training.pretraining import weights_file
from tray_agent.training.pretraining.games import sessions_by_game
from tray_agent.training.pretraining.joint import Joint
from tray_agent.training.pretraining.options import EncoderOptions, Options, PolicyOptions, from_message, to_message
from tray_agent.training.pretraining.plays import Play
from tray_agent.training.pretraining.run import Run
from tray_agent.training.pretraining.state_file import State, read_state, state_path, write_state

SHORT = 0.005
"""Minutes."""


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A data folder of its own, and one thread as the process has."""
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "home"))
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sessions of three games, one of them with wider pictures."""
    folder = tmp_path_factory.mktemp("sessions")
    for name, spec in (("a", SPEC), ("b", replace(SPEC, frame_width=56)), ("c", SPEC)):
        write(folder, name, spec=spec)
    return folder


def go(options: Options) -> dict[str, Any]:
    return Run(options, Progress(Console(quiet=True))).go()


def about(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        told: dict[str, Any] = json.loads(file.metadata()["about"])
    return told


# -- flags -----------------------------------------------------------------------------------------------------------


def test_verb_starts_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With what was asked for; its exit code is the verb's. A mistake is told before one is started."""
    started: list[list[str]] = []

    class Child:
        def __init__(self, command: list[str]) -> None:
            started.append(command)

        def wait(self) -> int:
            return 130

    monkeypatch.setattr(train.subprocess, "Popen", Child)
    words = ["pretrain", "policy", "x", "y", "--method", "reptile", "--inner", "3", "--without", "pong", "--json"]
    assert main(words) == ExitCode.INTERRUPTED
    *_, kind, message, last = started[0]
    asked = PolicyOptions(sessions=(Path("x"), Path("y")), method="reptile", inner=3, without=("pong",))
    assert (from_message(kind, message), last) == (asked, "--json")
    assert main(["pretrain", "encoder", "--sessions", "--minutes", "3"]) == ExitCode.INTERRUPTED
    assert from_message(*started[1][-2:]) == EncoderOptions(sessions=(), minutes=3)
    assert main(["pretrain", "encoder", "--minutes", "0"]) == ExitCode.BAD_CONFIG
    assert "--minutes" in capsys.readouterr().err
    assert len(started) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["encoder", "--sessions", "x", "--ticks", "99"], "--ticks: only without --sessions"),
        (["encoder", "--without", "x"], "--without: only with --sessions"),
        (["encoder", "--ticks", "3"], "--ticks: "),
        (["policy", "--inner", "3"], "--inner: only with --method reptile"),
        (["policy", "--encoder", "timm:x"], "--encoder: "),
        (["policy", "--minutes", "nan"], "--minutes: "),
        (["policy", "--memory-mb", "0"], "--memory-mb: "),
    ],
)
def test_flags_that_do_not_go_together_are_told(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """By name, before anything is read."""
    assert main(["pretrain", *words]) == ExitCode.BAD_CONFIG
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["encoder"], ["policy"]])
def test_help_has_examples(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """And says what becomes of the file."""
    with pytest.raises(SystemExit) as ended:
        main(["pretrain", *words, "--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert ("examples:" if words else "start:/full/path/FILE") in said


# -- what is found ---------------------------------------------------------------------------------------------------


def test_sessions_are_found_however_they_are_named(root: Path) -> None:
    """As sessions, as folders of them, as a folder of games; each once."""
    every = sessions_by_game([root], (), lambda *_: None)
    assert [*every] == ["a", "b", "c"]
    again = sessions_by_game([every["a"][0], root / "b", root / "c", root], (), lambda *_: None)
    assert again == every
    assert [*sessions_by_game([root], ("b",), lambda *_: None)] == ["a", "c"]


@pytest.mark.parametrize(
    ("names", "without", "said"),
    [((), (), "no sessions in"), (("a",), (), "games to learn from: a; it takes two"),
     (("a", "b"), ("b",), "it takes two"), (("a", "b"), ("pong",), "there are a, b")],
)  # fmt: skip
def test_too_few_games_are_told(tmp_path: Path, names: Any, without: Any, said: str) -> None:
    """With what there is, before anything is learned."""
    for name in names:
        write(tmp_path / "s", name, 2)
    with pytest.raises(TrayAgentError, match=said):
        go(PolicyOptions(sessions=(tmp_path / "s",), without=without))


def test_own_sessions_are_taken_where_none_are_named() -> None:
    """Those of the data folder; the file lies there, too."""
    for name in "ab":
        write(paths.data_folder() / "sessions", name)
    summary = go(PolicyOptions(minutes=SHORT, encoder="scratch"))
    assert summary["games"] == ["a", "b"]
    assert Path(summary["file"]) == paths.data_folder() / "pretrained" / "policy.safetensors"
    assert summary["use"] == f"encoder: start:{summary['file']}"


def test_what_cannot_be_used_is_left_out_and_counted(tmp_path: Path) -> None:
    """A session without metadata, one without pictures, a game with hardly a tick; the others are learned."""
    for name in "abcd":
        write(tmp_path, name, 5 if name == "c" else 80)
    (write(tmp_path, "e") / METADATA).unlink()
    (tmp_path / "d" / "20260101T000000Z-d" / VIDEO).write_bytes(b"scratched")
    summary = go(PolicyOptions(sessions=(tmp_path,), minutes=SHORT, encoder="scratch", out=tmp_path / "x"))
    assert summary["games"] == ["a", "b"]
    assert "fewer than" in summary["skipped"]["c"]
    assert {"20260101T000000Z-e", "c", "d"} <= summary["skipped"].keys()


# -- whole runs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["joint", "reptile"])
def test_policy_is_made_of_recorded_games(root: Path, tmp_path: Path, method: Any) -> None:
    """Without the game that is left out; the program takes the file; nothing is left beside it."""
    out = tmp_path / "start.safetensors"
    options = PolicyOptions(sessions=(root,), out=out, method=method, without=("b",), minutes=SHORT, encoder="scratch")
    summary = go(options.model_copy(update={"inner": 1}))
    recipe = about(out)["recipe"]
    assert (recipe["games"], recipe["without"], recipe["method"]) == (["a", "c"], ["b"], method)
    assert recipe["begun_with"] == "scratch"
    assert summary["updates"] == about(out)["updates"] > 0
    assert ("skill" in summary) == (method == "joint")
    make_encoder(f"start:{out}", SPEC)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [out.name]


def test_policy_begun_with_a_file_knows_its_games(root: Path, tmp_path: Path) -> None:
    """An encoder made of sessions; so that nobody measures play on a game it has seen without knowing."""
    encoder, out = tmp_path / "encoder", tmp_path / "start"
    summary = go(EncoderOptions(sessions=(root,), without=("c",), minutes=SHORT, out=encoder))
    assert summary["games"] == ["a", "b"]
    assert about(encoder)["recipe"]["play"] == "recorded"
    go(PolicyOptions(sessions=(root,), without=("b",), minutes=SHORT, out=out, encoder=f"start:{encoder}"))
    assert about(out)["recipe"]["before"] == ["a", "b"]
    with pytest.raises(TrayAgentError, match="no file that `tray-agent pretrain` made"):
        go(PolicyOptions(sessions=(root,), encoder=f"start:{tmp_path / 'none'}"))


def test_encoder_is_made_of_random_play(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From games to a file that the program takes; those that play is measured on are refused."""

    def made_up(rom: str, ticks: int, seed: int) -> Play:
        random = np.random.default_rng(seed)
        planes = random.integers(0, 255, (ticks, 3, 40, 40)).astype(np.uint8)
        return Play(rom, planes, np.ones((ticks, 5), np.float32), np.zeros(ticks, np.int64))

    monkeypatch.setattr("tray_agent.training.pretraining.run.played", made_up)
    out = tmp_path / "encoder.safetensors"
    go(EncoderOptions(games=("alien", "qbert"), ticks=40, minutes=SHORT, out=out))
    assert about(out)["recipe"]["games"] == ["alien", "qbert"]
    assert about(out)["recipe"]["ticks"] == 40
    make_encoder(f"start:{out}", SPEC)
    with pytest.raises(SettingsError, match="breakout: play is measured"):
        go(EncoderOptions(games=("alien", "breakout"), out=out))


@pytest.mark.filterwarnings("ignore:Rom no_such_rom")
def test_missing_game_is_told(tmp_path: Path) -> None:
    """A ROM that the package does not have."""
    pytest.importorskip("ale_py")
    with pytest.raises(PlatformUnavailable, match="no_such_rom"):
        go(EncoderOptions(games=("no_such_rom",), out=tmp_path / "x"))


def test_kill_and_resume(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was written last is whole and is gone on from; the same command without a state says so."""
    out = tmp_path / "start.safetensors"
    options = PolicyOptions(sessions=(root,), out=out, minutes=1.0, encoder="scratch")
    learn, killed_after = Joint.learn, 6

    def fall_over(self: Joint, name: str) -> None:
        if self.done >= killed_after and out.exists():
            raise MemoryError
        learn(self, name)

    monkeypatch.setattr(weights_file, "_SAVE_EVERY_S", 0.0)
    with monkeypatch.context() as patched:
        patched.setattr(Joint, "learn", fall_over)
        with pytest.raises(MemoryError):
            go(options)
    before = about(out)["updates"]
    assert before >= killed_after
    seen: list[int] = []

    def noting(self: Joint, name: str) -> None:
        seen.append(self.done)
        learn(self, name)

    monkeypatch.setattr(Joint, "learn", noting)
    monkeypatch.setattr("tray_agent.training.pretraining.budget.Budget.shares", three_turns)
    go(options.model_copy(update={"resume": True}))
    assert seen[0] == before
    assert about(out)["updates"] == before + 3
    with pytest.raises(TrayAgentError, match="a run that is done leaves none"):
        go(options.model_copy(update={"resume": True}))


def three_turns(_: Any) -> Any:
    yield from (0.5, 0.6, 0.7)


def test_run_goes_on_with_what_it_began_with(tmp_path: Path) -> None:
    """Another recipe and a damaged state are told with what to do."""
    path = state_path(tmp_path / "x.safetensors")
    write_state(path, {"games": ("a",), "seed": 0}, State({"t": torch.ones(2)}, {"n": 3}))
    state = read_state(path, {"games": ("a",), "seed": 0})
    assert torch.equal(state.tensors["t"], torch.ones(2))
    assert state.numbers == {"n": 3}
    with pytest.raises(TrayAgentError, match=r"seed was 0, is 1.*no --resume"):
        read_state(path, {"games": ("a",), "seed": 1})
    path.write_bytes(b"\xff" * 99)
    with pytest.raises(TrayAgentError, match="begin without --resume"):
        read_state(path, {})


# -- the process -----------------------------------------------------------------------------------------------------


def test_process_prints_json_or_words(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On stdout, nothing else."""
    message = to_message(PolicyOptions(sessions=(root,), out=tmp_path / "x", minutes=SHORT, encoder="scratch"))
    assert process.main([*message, "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["file"] == str(tmp_path / "x")
    assert summary["skipped"] == {}
    assert process.main([*message]) == 0
    said = capsys.readouterr().out
    assert f"encoder: start:{tmp_path / 'x'}" in said
    assert "updates on 3 games" in said


def test_reasons_end_it_with_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, not a traceback; the same for a folder that is not there, and one that can't be written."""
    (tmp_path / "empty").mkdir()
    for options in (
        PolicyOptions(sessions=(tmp_path / "empty",)),
        PolicyOptions(sessions=(tmp_path / "missing",)),
        EncoderOptions(out=tmp_path / "no" / "folder"),
    ):
        assert process.main([*to_message(options)]) == 1
        assert capsys.readouterr().err.startswith("pretrain: ")


def test_interrupt_keeps_the_last_whole_file(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C ends with code 130, and what was there stays."""

    def interrupted(self: Joint, name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Joint, "learn", interrupted)
    out = tmp_path / "start.safetensors"
    out.write_bytes(b"before")
    assert process.main([*to_message(PolicyOptions(sessions=(root,), out=out, encoder="scratch"))]) == 130
    assert out.read_bytes() == b"before"
    assert "--resume" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == [out.name]
