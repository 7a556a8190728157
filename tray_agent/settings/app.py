"""Settings of the program itself: `config/tray_agent.yaml` as frozen models (no I/O)."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from tray_agent.core.controls import Controls
from tray_agent.core.media import VideoQuality
from tray_agent.settings.hotkeys import Hotkey, HotkeyField, shadows
from tray_agent.settings.mistake import mistake
from tray_agent.settings.model import Model


class Hotkeys(Model):
    """Global hotkeys."""

    watch: HotkeyField = Field(
        default=("ControlLeft", "AltLeft", "KeyW"), description="Start or stop watching.", examples=["ctrl+alt+w"]
    )
    play: HotkeyField = Field(
        default=("ControlLeft", "AltLeft", "KeyP"), description="Hand the game over.", examples=["ctrl+alt+p"]
    )
    kill: HotkeyField = Field(
        default=("ControlLeft", "AltLeft", "KeyK"),
        description="Let go of every key, at once, whatever happens.",
        examples=["ctrl+alt+k"],
    )

    @model_validator(mode="after")
    def _apart(self) -> "Hotkeys":
        if len(self.kill) < 2:
            raise mistake("kill is a single key", "Take two or more, for example ctrl+alt+k.", ("kill",))
        names = ("watch", "play", "kill")
        for i, name in enumerate(names):
            for other in names[:i]:
                if shadows(getattr(self, name), getattr(self, other)):
                    raise mistake(f"pressing {name} also presses {other}", "Take different keys.", (name,))
        return self

    def as_dict(self) -> dict[str, Hotkey]:
        """Name -> keys held together, as the guard wants them."""
        return {"watch": self.watch, "play": self.play, "kill": self.kill}

    def within(self, controls: Controls) -> tuple[str, ...]:
        """Hotkeys whose keys are all among a game's controls, so that ordinary play could press them."""
        return tuple(name for name, held in self.as_dict().items() if set(held) <= set(controls.buttons))


def _absolute(path: Path) -> Path:
    try:
        expanded = path.expanduser()
    except RuntimeError as error:
        raise mistake(f"no such home folder: {path}", "Write the path in full.") from error
    if not expanded.is_absolute() or "\0" in str(path):
        raise mistake(f"{str(path)!r} is not a full path", "Begin with / or ~ (or a drive letter).")
    return expanded


Folder = Annotated[Path, AfterValidator(_absolute)]


class Folders(Model):
    """Where large things are kept; the platform's own place if left out."""

    data: Folder | None = Field(default=None, description="Recorded sessions.", examples=["~/tray-agent/sessions"])
    models: Folder | None = Field(default=None, description="Learned policies.", examples=["~/tray-agent/models"])


class Limits(Model):
    """What the program may use."""

    ram_mb: int = Field(default=96, ge=16, le=4096, description="Memory of the rolling buffers.", examples=["96"])
    disk_gb: float = Field(
        default=20.0, gt=0, le=10000, description="What all sessions together may take.", examples=["20"]
    )
    when_full: Literal["delete_oldest", "refuse"] = Field(
        default="delete_oldest",
        description=(
            "When sessions take disk_gb: delete_oldest makes room (never kept ones, never a game's newest), refuse "
            "watches no more."
        ),
        examples=["refuse"],
    )
    remote_gb: float = Field(
        default=20.0, gt=0, le=100000, description="What copies of other machines' sessions may take.", examples=["20"]
    )
    play_minutes: float = Field(
        default=60.0, gt=0, le=240, description="The agent never plays longer at a stretch.", examples=["60"]
    )


class Recording(Model):
    """How sessions are recorded and imported."""

    quality: VideoQuality = Field(
        default="high",
        description=(
            "How closely pictures are kept: high (a third of lossless or less), small (a sixth to a half less again), "
            "lossless (exact)."
        ),
        examples=["lossless"],
    )


_ENCODER = re.compile(r"scratch|bundled|start:.+|timm:[A-Za-z0-9_]+(\.[A-Za-z0-9_]+)?(@.+)?")


def _encoder(name: str) -> str:
    if not _ENCODER.fullmatch(name):
        known = "Take scratch, bundled, start:FILE, timm:NAME or timm:NAME@FILE, with the full path of a file."
        raise mistake(f"there is no encoder {name!r}", known)
    return name


class Trainer(Model):
    """The process that learns while you play."""

    nice: int = Field(default=10, ge=0, le=19, description="How far it stands back; 19 is furthest.", examples=["10"])
    threads: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="Cores it uses; left empty: a quarter of them, 4 at most.",
        examples=["2"],
    )
    max_seconds_between_bundles: float = Field(
        default=30.0, ge=5, le=600, description="A newer policy is ready at least so often.", examples=["30"]
    )
    encoder: Annotated[str, AfterValidator(_encoder)] = Field(
        default="bundled",
        max_length=500,
        description=(
            "What looks at the picture: bundled (begins with weights that come with the program), scratch (learned "
            "from nothing), start:FILE (begins with weights made of games you have watched), timm:NAME or "
            "timm:NAME@FILE (a large pretrained network that stays as it is; slow)."
        ),
        examples=["scratch"],
    )
    shared: bool = Field(
        default=False,
        description=(
            "One model for all games: while one is watched it goes on learning those watched before, and a new one "
            "begins with what is known already. Learns each game at three quarters of the speed; not with a timm "
            "encoder."
        ),
        examples=["true"],
    )
    vectors: Literal["given", "learned"] = Field(
        default="given",
        description=(
            "With one model for all games, what tells it which game it plays: given (the games' vectors as they are in "
            "games.yaml), learned (they begin there and are learned as well)."
        ),
        examples=["learned"],
    )
    adversarial: Literal["none", "chunks", "sessions"] = Field(
        default="none",
        description=(
            "A second network that learns to tell who plays, beside the learning from each tick: chunks (the policy "
            "has to pass for you in stretches of eight ticks), sessions (where the agent has played, what passes for "
            "your play is learned from as well), none."
        ),
        examples=["chunks"],
    )
    reaction: Literal["none", "auto"] = Field(
        default="none",
        description=(
            "Whether what is learned with a picture is what you did when you had seen it: auto finds out how late you "
            "answer what happens, of each game, and takes that out; none learns what you did at that moment."
        ),
        examples=["auto"],
    )

    @property
    def cores(self) -> int:
        """How many cores to use on this machine."""
        return self.threads or max(1, min(4, (os.cpu_count() or 1) // 4))


class AppSettings(Model):
    """A whole tray_agent.yaml; whatever is left out has its default."""

    hotkeys: Hotkeys = Hotkeys()
    folders: Folders = Folders()
    limits: Limits = Limits()
    recording: Recording = Recording()
    trainer: Trainer = Trainer()
    tray: bool = Field(default=True, description="Whether the tray icon is shown.")
    audio_device: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = Field(
        default=None, description="Recording device; the system's own output if left out.", examples=["game.monitor"]
    )
    lease_ms: int = Field(
        default=220,
        ge=50,
        le=250,
        description="Keys are let go when the daemon is silent for so long.",
        examples=["220"],
    )
    third_party_input: Literal["player", "ignore"] = Field(
        default="player",
        description=(
            "What keys pressed by other programs count as: the player's (they end play), or nothing (then hotkeys "
            "sent by remote-desktop programs are not heard either). Needs a restart."
        ),
        examples=["player"],
    )
