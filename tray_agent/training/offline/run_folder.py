"""A run's folder: what it was asked to do, how it went, its checkpoints. No threads; the caller's runs it (no torch).

`run.json` (written once), `log.jsonl` (a line for each look at held-out play), `last.safetensors` and
`best.safetensors`, `bundles/` (policies that do not play), `events/` (TensorBoard's).
"""

import json
import platform
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from tray_agent import __version__
from tray_agent.errors import SettingsError
from tray_agent.runtime.atomic_file import write_atomic
from tray_agent.runtime.origin import commit, machine
from tray_agent.sessions.layout import game_folder
from tray_agent.training.offline.options import TrainingOptions, from_message, plain

RUN = "run.json"
_PACKAGES = ("numpy", "onnx", "onnxruntime", "safetensors", "torch")


class RunFolder:
    """Paths of a run, and its `run.json`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.last = folder / "last.safetensors"
        self.best = folder / "best.safetensors"
        self.log = folder / "log.jsonl"
        self.events = folder / "events"
        self.bundles = folder / "bundles"

    def begin(self, options: TrainingOptions, more: dict[str, Any]) -> None:
        """Make the folder and write what the run is.

        Args:
            options: resolved.
            more: sessions, and what else is known of the run.

        Raises:
            SettingsError: it can't be written, or holds a run already.
        """
        if (self.folder / RUN).exists():
            raise SettingsError(f"{self.folder} holds a run already. Go on with it (--resume) or name another --out")
        about = {
            "options": plain(options), "versions": _versions(), "machine": machine(), "commit": commit(),
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
        } | more  # fmt: skip
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomic(self.folder / RUN, json.dumps(about, indent=1) + "\n")
        except OSError as error:
            raise SettingsError(f"the run can't be kept in {self.folder}: {error}. Name another --out") from error

    def read(self, game: str) -> tuple[TrainingOptions, dict[str, Any]]:
        """Options and everything else of the run that was begun here.

        Raises:
            SettingsError: there is none, it is damaged, or one of another game.
        """
        path = self.folder / RUN
        try:
            about = json.loads(path.read_text(encoding="utf-8"))
            options = from_message(json.dumps(about["options"]))
            sessions = about["sessions"]
        except FileNotFoundError as error:
            raise SettingsError(
                f"there is no run in {self.folder} to go on with; begin one without --resume"
            ) from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SettingsError(f"{path} can't be read ({error}); begin a new run in another folder") from error
        if options.game != game:
            raise SettingsError(f"the run in {self.folder} is one of {options.game}, not of {game}")
        if not isinstance(sessions, list):
            raise SettingsError(f"{path} can't be read (its sessions are no list); begin a new run in another folder")
        return options, about


def new_run(root: Path, game: str) -> RunFolder:
    """A name not used before."""
    return RunFolder(game_folder(root, game) / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}"[:-3])


def newest_run(root: Path, game: str) -> RunFolder:
    """The run of a game that was begun last.

    Raises:
        SettingsError: there is none.
    """
    runs = sorted(path.parent for path in game_folder(root, game).glob(f"*/{RUN}"))
    if not runs:
        raise SettingsError(f"there is no run of {game} in {root} to go on with; begin one without --resume")
    return RunFolder(runs[-1])


def _versions() -> dict[str, str]:
    own = {"tray-agent": __version__, "python": platform.python_version()}
    return own | {name: metadata.version(name) for name in _PACKAGES}
