"""Flags, files, the verb, and two processes that learn one network."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from squares import GAME, go, record
from torch import distributed

from tray_agent.clients.cli import train
from tray_agent.clients.cli.exit_codes import ExitCode
from tray_agent.clients.cli.main import main
from tray_agent.errors import SettingsError
from tray_agent.training.offline.journal import MISSING, Journal
from tray_agent.training.offline.options import EPOCHS, from_message, options_of, parsed, to_message
from tray_agent.training.offline.progress import At, Progress
from tray_agent.training.offline.summary import tell


def options(*words: str) -> Any:
    return options_of(parsed(words, "train"))


def test_flags_count_more_than_the_file(tmp_path: Path) -> None:
    """What neither names has its default; both survive the way to the child process."""
    file = tmp_path / "run.yaml"
    file.write_text("game: pong\nminutes: 5\nheld_out: [a, b]\nuse: false\n")
    chosen = options("--config", str(file), "--minutes", "7", "--segment", "30", "one", "two")
    assert (chosen.game, chosen.minutes, chosen.segment, chosen.use) == ("pong", 7, 30, False)
    assert (chosen.held_out, chosen.sessions) == (("a", "b"), ("one", "two"))
    assert (chosen.last_epoch(), options("--game", "pong").last_epoch()) == (None, EPOCHS)
    again = from_message(to_message(chosen))
    assert again == chosen
    assert again.model_fields_set == chosen.model_fields_set


def test_mistakes_are_told_with_their_place(tmp_path: Path) -> None:
    """In a file by line, in flags by name; a game has to be named."""
    file = tmp_path / "run.yaml"
    file.write_text("game: pong\nepoch: 5\n")
    with pytest.raises(SettingsError, match=r"run\.yaml:2:1"):
        options("--config", str(file))
    with pytest.raises(SettingsError, match="--segment"):
        options("--game", "pong", "--segment", "0")
    with pytest.raises(SettingsError, match="--game"):
        options("--minutes", "3")


def test_verb_starts_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With what was asked for; its exit code is the verb's. A mistake is told before one is started."""
    started: list[tuple[str, ...]] = []

    class Child:
        def __init__(self, command: list[str]) -> None:
            started.append(tuple(command))

        def wait(self) -> int:
            return 130

    monkeypatch.setattr(train.subprocess, "Popen", Child)
    assert main(["train", "--game", "pong", "--epochs", "3", "--json"]) == ExitCode.INTERRUPTED
    assert from_message(started[0][-2]).epochs == 3
    assert started[0][-1] == "--json"
    assert main(["train", "--epochs", "3"]) == ExitCode.BAD_CONFIG
    assert "--game" in capsys.readouterr().err
    assert len(started) == 1


def test_journal_without_tensorboard_says_so_once_and_writes_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no writer of event files is installed."""
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    journal = Journal(tmp_path / "log.jsonl", tmp_path / "events")
    assert journal.note == MISSING
    journal.add("look", 20, skill=0.5)
    journal.add("look", 40, skill=0.6)
    journal.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [(line["what"], line["updates"], line["skill"]) for line in lines] == [("look", 20, 0.5), ("look", 40, 0.6)]


def test_journal_hands_numbers_to_tensorboard(tmp_path: Path) -> None:
    """Under the names of the lines, at their updates; texts are left out. Read back from the real event file."""
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    from tensorboardX.proto.event_pb2 import Event

    journal = Journal(tmp_path / "log.jsonl", tmp_path / "events")
    journal.add("look", 20, skill=0.5, note="text")
    journal.close()
    assert journal.note == ""
    (path,) = (tmp_path / "events").iterdir()
    data, found = path.read_bytes(), []
    while data:  # TFRecord: length, its checksum, the event, its checksum
        size = int.from_bytes(data[:8], "little")
        event, data = Event.FromString(data[12 : 12 + size]), data[16 + size :]
        found += [(value.tag, value.simple_value, event.step) for value in event.summary.value]
    assert found == [("look/skill", 0.5, 20)]


def test_progress_tells_skill_beside_doing_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """And how long it takes at most."""
    measures = {"skill": 0.5, "loss": 0.2, "baseline_loss": 0.6, "blind_loss": 0.7}
    with Progress(Console(stderr=True, width=400)) as progress:
        progress.at(At(2.5, 100, 0.25, 60.0, 12.5, 0.31, measures))
        progress.at(At(2.6, 104, 0.26, 61.0, 12.5, 0.31, measures))
    said = capsys.readouterr().err
    assert said.count("\n") == 1  # the next one is due in ten seconds
    for part in ("pass 2.5", "12.5 a second", "skill 0.500 (constant guess 0)", "constant guess 0.600", "3 min left"):
        assert part in said


_CHILD = """
import hashlib, runpy, sys
from tray_agent.training.offline.training import Training
run = Training.run
def run_and_tell(self):
    run(self)
    weights = b"".join(p.detach().numpy().tobytes() for p in self.learner.net.parameters())
    print("weights", hashlib.sha256(weights).hexdigest(), file=sys.stderr)
Training.run = run_and_tell
runpy.run_module("tray_agent.training.offline", run_name="__main__")
"""


Output = tuple[str, str]


def two_processes(folder: Path, *words: str) -> tuple[list[int], Output, Output]:
    """Python started twice as torchrun would: exit codes, and what each wrote on stdout and stderr."""
    if not distributed.is_available() or not distributed.is_gloo_available():
        pytest.skip("this torch has no gloo")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    common = os.environ | {
        "WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
        "TRAY_AGENT_HOME": str(folder / "home"),
    }  # fmt: skip
    both = [
        subprocess.Popen(
            [sys.executable, "-P", *words], env=common | {"RANK": rank, "LOCAL_RANK": rank}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for rank in ("0", "1")
    ]  # fmt: skip
    one, other = (process.communicate(timeout=110) for process in both)
    return [process.returncode for process in both], one, other


def test_process_that_ends_ends_the_others(tmp_path: Path) -> None:
    """One tells why, the other one that there was another; neither waits for ever."""
    module = ("-m", "tray_agent.training.offline", "memory://nowhere", "--game", GAME)
    codes, (_, errors), (_, told) = two_processes(tmp_path, *module)
    assert codes == [1, 1]
    assert "train: memory://nowhere: there is nothing" in errors
    assert "train: another process of this run has ended" in told


_SWAPS = """
import sys, torch
from tray_agent.training.offline.exchange import Exchange
from tray_agent.training.offline.ranks import Ranks, join, leave
ranks = join()
for together in (True, False):
    exchange = Exchange(Ranks(ranks.rank, ranks.count, ranks.here, together))
    for step in range(1, 7):
        own = 10.0 ** ranks.rank * step
        mean, note = exchange.swap((torch.full((2, 3), own), None, torch.tensor([-own])), 5 * step * ranks.rank)
        print(together, step, note, mean and [mean[0].tolist(), mean[1], mean[2].tolist()])
    print("settled", exchange.settle(), exchange.settle())
leave(ranks)
"""


def test_gradients_become_the_mean_of_all_one_update_late(tmp_path: Path) -> None:
    """Through shared memory and through sockets; in both processes the same."""
    codes, (one, errors), (other, told) = two_processes(tmp_path, "-c", _SWAPS)
    assert codes == [0, 0], errors + told
    assert one == other
    wanted = []
    for together in (True, False):
        wanted.append(f"{together} 1 0 None")
        for step in range(2, 7):
            mean = 5.5 * (step - 1)
            wanted.append(f"{together} {step} {5 * (step - 1)} {[[[mean] * 3] * 2, None, [-mean]]}")
        wanted.append("settled 30 30")
    assert one.splitlines() == wanted
    assert not list(Path("/dev/shm").glob("tray-agent-gradients-*"))


def test_two_processes_learn_what_one_learns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As torchrun starts them: one network in both to the last bit, as good as that of one process; one writes.

    A quarter of the keys are wrong, so that skill and loss have room above and below.
    """
    for number in (1, 2, 3):
        record(tmp_path / "sessions", number, 240, wrong=0.25)
    codes, (said, errors), (nothing, told) = two_processes(
        tmp_path, "-c", _CHILD, str(tmp_path / "sessions"), "--game", GAME, "--updates", "40",
        "--precision", "float32", "--out", str(tmp_path / "run"), "--no-use", "--json",
    )  # fmt: skip
    assert codes == [0, 0], errors + told
    assert nothing == ""
    (mine,), (theirs,) = ([line for line in text.splitlines() if "weights" in line] for text in (errors, told))
    assert mine == theirs
    summary = json.loads(said)
    assert summary["updates"] == 40
    assert [speed["samples_per_s"] > 0 and 0 < speed["waiting"] < 1 for speed in summary["speed"]] == [True, True]
    assert "by process, waiting for each other" in errors
    assert json.loads((tmp_path / "run" / "run.json").read_text())["processes"] == 2

    monkeypatch.setenv("TRAY_AGENT_HOME", str(tmp_path / "home"))
    torch.set_num_threads(1)
    alone = go(tmp_path / "sessions", updates=40, use=False)
    for name, noise in (("skill", 0.1), ("loss", 0.1)):
        assert abs(summary["held_out"][name] - alone["held_out"][name]) < noise
    tell(summary)
    tell(alone)
    lines = [line for line in capsys.readouterr().out.splitlines() if "samples a second" in line]
    assert ["by process" in line for line in lines] == [True, False]
