"""What a training run is asked to do: flags, a file, or both (no torch)."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError

from tray_agent.errors import SettingsError
from tray_agent.settings.load import load
from tray_agent.settings.model import Model

EPOCHS = 60
"""Where no end is set; the live trainer rests after as many passes without anything new."""
_WITH_RESUME = frozenset({"game", "out", "epochs", "minutes", "updates", "patience", "use", "force", "int8"})
_TEXT = """Learn a game from recorded sessions, as long as you like, with the product's own learner. Pictures are read
from disk in short segments, shuffled, as they are needed, so that hours of play fit into little memory. What is kept
out of learning - whole sessions where there are three, else the stretches that the live trainer keeps out - tells when
to stop and which network is the best; that one becomes the game's policy if it is no worse there than the one in use.

Sessions of other machines are named by address: s3://bucket/path, sftp://host/path, https://host/path, or another that
fsspec knows (pip install 'tray-agent[remote]'). They are copied once, into at most limits.remote_gb. Keys are found
where they always are (~/.ssh, ~/.aws, the environment; AWS_ENDPOINT_URL names another server that speaks S3).

Ctrl-C, a crash or a full disk lose a minute at most: --resume goes on exactly where the last checkpoint is."""
_EPILOG = """examples:
  tray-agent train --game doom-health
  tray-agent train ~/recordings/monday ~/recordings/tuesday --game doom-health --minutes 30 --no-use
  tray-agent train --game doom-health --resume --epochs 120
  tray-agent train s3://recordings/sessions sftp://pc/home/me/sessions --game doom-health
  torchrun --nproc-per-node 2 -m tray_agent.training.offline --game doom-health

--config FILE takes the same as YAML, names with _ for -, --from as from_bundle, --no-use as "use: false":
  game: doom-health
  minutes: 30
  held_out: [20260101T120000Z-a1b2c3]"""


Place = Annotated[str, BeforeValidator(lambda raw: str(raw) if isinstance(raw, Path) else raw)]


class TrainingOptions(Model):
    """Resolved options; they are also what a file may hold."""

    game: str = Field(default="", description="Which game.", examples=["doom-health"])
    sessions: tuple[Place, ...] = Field(default=(), description="Folders or addresses of sessions, or that hold them.")
    from_bundle: Path | None = Field(default=None, description="Folder of a bundle whose weights it begins with.")
    segment: int = Field(default=20, ge=1, le=4096, description="Ticks that are read from disk together.")
    memory_mb: int = Field(default=1024, ge=1, description="Memory for pictures.", examples=["1024"])
    epochs: int | None = Field(default=None, ge=1, description="Passes over everything.", examples=["60"])
    minutes: float | None = Field(default=None, gt=0, description="Of learning, those before a resume with them.")
    updates: int | None = Field(default=None, ge=1, description="Steps of the optimiser.")
    patience: int = Field(default=15, ge=1, description="Looks, one a pass, without anything better: then it stops.")
    held_out: tuple[str, ...] = Field(default=(), description="Names of sessions kept out of learning.")
    out: Path | None = Field(default=None, description="Folder of the run.")
    threads: int | None = Field(default=None, ge=1, le=64, description="Cores; those of trainer.threads if left out.")
    encoder: str | None = Field(default=None, max_length=500, description="As trainer.encoder, which is the default.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(default="auto", description="auto tries which is faster.")
    seed: int = Field(default=0, ge=0, description="Of all chance.")
    int8: bool = Field(default=False, description="Whether to make the policy's weights whole numbers.")
    use: bool = Field(default=True, description="Whether it becomes the game's policy.")
    force: bool = Field(default=False, description="Whether it may replace a better one.")
    resume: bool = Field(default=False, description="Whether to go on with a run.")

    def last_epoch(self) -> int | None:
        """Passes after which it ends, None if only time or updates end it."""
        return self.epochs or (EPOCHS if self.minutes is None and self.updates is None else None)

    def going_on_with(self, begun: "TrainingOptions") -> "TrainingOptions":
        """A run's options when it is resumed with these.

        Raises:
            SettingsError: they would make it another run.
        """
        given = self.model_fields_set - {"resume"}
        wrong = sorted(name for name in given - _WITH_RESUME if getattr(self, name) != getattr(begun, name))
        if wrong:
            flags = ", ".join("--" + name.replace("_", "-") for name in wrong)
            raise SettingsError(f"{flags}: the run began with something else. Leave it out, or begin another run")
        kept = {name: getattr(self, name) for name in given & _WITH_RESUME}
        if {"epochs", "minutes", "updates"} & set(given):  # a new end, not one more
            kept = {"epochs": None, "minutes": None, "updates": None} | kept
        return begun.model_copy(update=kept)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Text and flags; what is not given is not in the namespace."""
    parser.description, parser.epilog = _TEXT, _EPILOG
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.argument_default = argparse.SUPPRESS
    add = parser.add_argument
    add("sessions", nargs="*", metavar="SESSIONS", help="sessions, or folders of them, or addresses (all of the game)")
    add("--game", help="which game", metavar="G")
    add("--from", dest="from_bundle", type=Path, metavar="BUNDLE", help="folder of a bundle to begin with")
    add("--segment", type=int, metavar="N", help="ticks read from disk together (20)")
    add("--memory-mb", type=int, metavar="MB", help="memory for pictures (1024)")
    add("--epochs", type=int, metavar="N", help=f"passes over everything ({EPOCHS})")
    add("--minutes", type=float, metavar="M", help="of learning, instead or as well")
    add("--updates", type=int, metavar="N", help="steps of the optimiser, instead or as well")
    add("--patience", type=int, metavar="K", help="stop after K looks (one a pass) without anything better (15)")
    add("--held-out", nargs="+", metavar="NAME", help="sessions kept out of learning (every sixth of three or more)")
    add("--out", type=Path, metavar="FOLDER", help="of the run; in the data folder by default")
    add("--threads", type=int, metavar="T", help="cores (as trainer.threads); 1 makes runs exactly repeatable")
    add("--encoder", metavar="E", help="as trainer.encoder, which is the default")
    add("--precision", choices=("auto", "float32", "bfloat16"), help="auto tries out which is faster")
    add("--seed", type=int, metavar="S", help="of all chance (0)")
    add("--int8", action="store_true", help="weights as whole numbers, kept where it still does the same")
    add("--no-use", dest="use", action="store_false", help="leave the game's policy as it is")
    add("--force", action="store_true", help="replace the game's policy even if it is better")
    add("--resume", action="store_true", help="go on with the run in --out, or with the game's newest")
    add("--config", type=Path, metavar="FILE", help="these options as YAML; flags count more")
    add("--json", action="store_true", help="print one JSON object at the end")


def options_of(given: argparse.Namespace) -> TrainingOptions:
    """What file and flags say together.

    Raises:
        SettingsError: something is out of range, unknown, or no game is named.
    """
    config = getattr(given, "config", None)
    chosen = load(config, TrainingOptions).model_dump(exclude_unset=True) if config is not None else {}
    flags = {name: value for name, value in vars(given).items() if name in TrainingOptions.model_fields}
    if flags.get("sessions") == []:  # argparse gives it whatever was given
        del flags["sessions"]
    try:
        options = TrainingOptions.model_validate(chosen | flags)
    except ValidationError as error:
        problems = [f"--{str(e['loc'][0]).replace('_', '-')}: {e['msg']}" for e in error.errors(include_url=False)]
        raise SettingsError("; ".join(problems)) from error
    if not options.game:
        raise SettingsError("which game? Name it with --game; `tray-agent games list` shows all")
    return options


def to_message(options: TrainingOptions) -> str:
    """Only what was given, as JSON."""
    return options.model_dump_json(exclude_unset=True)


def from_message(text: str) -> TrainingOptions:
    """Inverse of `to_message`, also of what a run's folder keeps.

    Raises:
        SettingsError: it is of another version, or damaged.
    """
    try:
        return TrainingOptions.model_validate_json(text)
    except ValidationError as error:
        raise SettingsError(f"these options can't be read: {error}") from error


def plain(options: TrainingOptions) -> dict[str, Any]:
    """All of them as plain data."""
    data: dict[str, Any] = json.loads(options.model_dump_json())
    return data


def parsed(arguments: Sequence[str] | None, prog: str) -> argparse.Namespace:
    """Flags of a command line."""
    parser = argparse.ArgumentParser(prog)
    add_arguments(parser)
    return parser.parse_args(arguments)
