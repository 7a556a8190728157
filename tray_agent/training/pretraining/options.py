"""What `tray-agent pretrain` is asked to do: flags and their checks (no torch)."""

import argparse
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from tray_agent.errors import SettingsError
from tray_agent.settings.model import Model

ENCODER = "encoder"
POLICY = "policy"
TEXT = """Make beforehand what games are begun with, so that a new one is learned sooner:
  encoder   the convolutions that look at the picture, taught which pictures follow each other and which keys were held
            between two; on packaged games played at random (as the one that comes with the program was), or on recorded
            sessions
  policy    the same with sound branch and trunk behind it, taught what players press, on recorded sessions of many
            games

Use a file of either kind with this line under "trainer:" in tray_agent.yaml:
  encoder: start:/full/path/FILE
It counts for games that have learned nothing yet; a game that has a checkpoint goes on from it. Each file's metadata
(safetensors, "about") says how it was made."""
_RESUMED = """The file is written each minute, each time whole. Ctrl-C ends the run and keeps the file as it was last
written; the same command with --resume goes on from there, also after a crash. What that needs lies beside the
file, as FILE.state, until the run is done."""
_ENCODER_TEXT = f"""Teach an encoder which pictures follow each other (temporal contrast: ATC, arXiv 2009.08319) and
what was held between two (inverse dynamics, arXiv 1705.05363). Without --sessions, packaged Atari games are played at
random: that is how models/encoder.safetensors was made, in 15 minutes. With --sessions, recordings of any games are
learned from, imported ones as well; sizes of pictures and controls may differ.

{_RESUMED}"""
_ENCODER_EXAMPLES = """examples:
  tray-agent pretrain encoder --out encoder.safetensors
  tray-agent pretrain encoder --games alien qbert --ticks 500 --minutes 2 --out try.safetensors
  tray-agent pretrain encoder --sessions --minutes 30
  tray-agent pretrain encoder --sessions ~/recordings ~/imported --without pong --out mine.safetensors
  tray-agent pretrain policy ~/recordings --encoder start:mine.safetensors --out start.safetensors"""
_POLICY_TEXT = f"""Teach what games have in common, by what players pressed. It takes sessions of two games or more:
your own, or imported ones (tray-agent import --help). Pictures are read from disk as they are needed.

--method joint    one network learns all games at once: the same convolutions and sound branch, the same trunk for
                  pictures of one size, each game with heads and statistics of its own
--method reptile  weights from which each game is learned soon (Reptile, arXiv 1803.02999): a game at a time is begun
                  anew for --inner updates, and the weights are moved some way to where that led. The step shrinks to
                  nothing over --minutes

{_RESUMED}

A game recorded with several sizes of picture or several sets of controls counts with those of its newest session."""
_POLICY_EXAMPLES = """examples:
  tray-agent pretrain policy
  tray-agent pretrain policy ~/recordings ~/imported --minutes 60 --out start.safetensors
  tray-agent pretrain policy ~/recordings --method reptile --without pong --out starts/pong.safetensors
  tray-agent evaluate pong --policy ours --policy ours-start --start starts/{game}.safetensors"""


class EncoderOptions(Model):
    """Of `pretrain encoder`."""

    out: Path | None = Field(default=None, description="File to write.")
    minutes: float = Field(default=15.0, gt=0, description="CPU time of learning.")
    games: tuple[str, ...] = Field(default=(), description="Packaged games to play.")
    ticks: int = Field(default=1500, ge=16, description="Decisions played of each.")
    sessions: tuple[Path, ...] | None = Field(default=None, description="Sessions; none named: the data folder's.")
    without: tuple[str, ...] = Field(default=(), description="Games to leave out.")
    memory_mb: int = Field(default=2048, ge=1, description="Memory for pictures.")
    seed: int = Field(default=0, ge=0, description="Of all chance.")
    resume: bool = Field(default=False, description="Whether to go on with a run.")

    @model_validator(mode="after")
    def _of_one_kind(self) -> "EncoderOptions":
        wrong = {"games", "ticks"} if self.sessions is not None else {"without", "memory_mb"}
        if given := sorted(wrong & self.model_fields_set):
            flags = " and ".join(f"--{name.replace('_', '-')}" for name in given)
            raise ValueError(f"{flags}: only {'without' if self.sessions is not None else 'with'} --sessions")
        return self


class PolicyOptions(Model):
    """Of `pretrain policy`."""

    sessions: tuple[Path, ...] = Field(default=(), description="Sessions; none named: the data folder's.")
    out: Path | None = Field(default=None, description="File to write.")
    method: Literal["joint", "reptile"] = Field(default="joint", description="How.")
    without: tuple[str, ...] = Field(default=(), description="Games to leave out.")
    minutes: float = Field(default=10.0, gt=0, description="CPU time of learning.")
    inner: int = Field(default=20, ge=1, description="Updates in a visit, of reptile.")
    encoder: str = Field(default="bundled", pattern=r"^(bundled|scratch|start:.+)$", description="What it begins with.")
    segment: int = Field(default=20, ge=1, le=4096, description="Ticks that are read from disk together.")
    memory_mb: int = Field(default=2048, ge=1, description="Memory for pictures.")
    seed: int = Field(default=0, ge=0, description="Of all chance.")
    resume: bool = Field(default=False, description="Whether to go on with a run.")

    @model_validator(mode="after")
    def _inner_is_reptiles(self) -> "PolicyOptions":
        if "inner" in self.model_fields_set and self.method != "reptile":
            raise ValueError("--inner: only with --method reptile")
        return self


Options = EncoderOptions | PolicyOptions
MODELS: dict[str, type[EncoderOptions] | type[PolicyOptions]] = {ENCODER: EncoderOptions, POLICY: PolicyOptions}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two kinds, each with its text and flags; what is not given is not in the namespace."""
    kinds: Any = parser.add_subparsers(dest="kind", required=True, metavar="encoder|policy")
    raw = argparse.RawDescriptionHelpFormatter
    encoder = kinds.add_parser(
        ENCODER, help="convolutions that look at the picture", description=_ENCODER_TEXT, epilog=_ENCODER_EXAMPLES,
        formatter_class=raw, argument_default=argparse.SUPPRESS,
    )  # fmt: skip
    add = encoder.add_argument
    add("--games", nargs="+", metavar="ROM", help="packaged Atari games to play (40 that nothing is measured on)")
    add("--ticks", type=int, metavar="N", help="decisions played of each (1500)")
    where = "sessions, folders of them, or folders that hold GAME/SESSION; none named: your own"
    add("--sessions", nargs="*", type=Path, metavar="PATH", help=f"learn from these instead: {where}")
    _add_common(encoder, "15")
    policy = kinds.add_parser(
        POLICY, help="convolutions, sound branch and trunk",
        description=_POLICY_TEXT, epilog=_POLICY_EXAMPLES, formatter_class=raw, argument_default=argparse.SUPPRESS,
    )  # fmt: skip
    add = policy.add_argument
    add("sessions", nargs="*", type=Path, metavar="SESSIONS", help=where)
    add("--method", choices=("joint", "reptile"), help="joint, unless said")
    add("--inner", type=int, metavar="K", help="updates in a visit, of reptile (20)")
    add("--encoder", metavar="E", help="what it begins with: bundled, scratch or start:FILE (bundled)")
    add("--segment", type=int, metavar="N", help="ticks read from disk together (20)")
    _add_common(policy, "10")


def _add_common(parser: argparse.ArgumentParser, minutes: str) -> None:
    add = parser.add_argument
    add("--out", type=Path, metavar="FILE", help="file to write (.safetensors); in the data folder by default")
    add("--minutes", type=float, metavar="M", help=f"of learning, CPU time of one core ({minutes})")
    add("--without", nargs="+", metavar="GAME", help="games with sessions to learn nothing from")
    add("--memory-mb", type=int, metavar="MB", help="memory for pictures of sessions (2048)")
    add("--seed", type=int, metavar="S", help="of all chance (0)")
    add("--resume", action="store_true", help="go on with the run that made FILE.state")
    add("--json", action="store_true", help="print one JSON object at the end")


def options_of(given: argparse.Namespace) -> Options:
    """What the flags say together.

    Raises:
        SettingsError: something is out of range, or does not go together.
    """
    model = MODELS[given.kind]
    flags = {name: value for name, value in vars(given).items() if name in model.model_fields}
    try:
        return model.model_validate(flags)
    except ValidationError as error:
        problems = []
        for one in error.errors(include_url=False):
            flag = f"--{str(one['loc'][0]).replace('_', '-')}: " if one["loc"] else ""
            problems.append(flag + one["msg"].removeprefix("Value error, "))
        raise SettingsError("; ".join(problems)) from error


def to_message(options: Options) -> tuple[str, str]:
    """Kind, and only what was given as JSON."""
    kind = next(kind for kind, model in MODELS.items() if isinstance(options, model))
    return kind, options.model_dump_json(exclude_unset=True)


def from_message(kind: str, text: str) -> Options:
    """Inverse of `to_message`.

    Raises:
        SettingsError: it is of another version.
    """
    try:
        return MODELS[kind].model_validate_json(text)
    except (KeyError, ValidationError) as error:
        raise SettingsError(f"these options can't be read: {error}") from error
