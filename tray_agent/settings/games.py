"""Game profiles: `config/games.yaml` as frozen models (no I/O)."""

import fnmatch
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema

from tray_agent.core.controls import Controls
from tray_agent.core.policy import PolicySpec
from tray_agent.settings import vectors
from tray_agent.settings.control_names import KeyName, MouseButton, PadAxis, PadButton, any_control
from tray_agent.settings.decoding import Decoding
from tray_agent.settings.mistake import did_you_mean, mistake
from tray_agent.settings.model import Model

Rect = tuple[int, int, int, int]
"""Left, top, width, height in pixels."""


def _no_duplicates(names: tuple[str, ...]) -> tuple[str, ...]:
    for i, name in enumerate(names):
        if name in names[:i]:
            raise mistake(f"{name} is listed twice", "Remove one of the two.", (i,))
    return names


Unique = AfterValidator(_no_duplicates)


class Mouse(Model):
    """Mouse controls of a game."""

    buttons: Annotated[tuple[MouseButton, ...], Unique] = Field(default=(), examples=["[MouseLeft, MouseRight]"])
    motion: bool = Field(
        default=False, description="Movement, as counts: for games that look around or aim with the mouse."
    )
    wheel: bool = Field(default=False, description="The wheel, as notches.")


class Pad(Model):
    """Gamepad controls of a game."""

    buttons: Annotated[tuple[PadButton, ...], Unique] = Field(default=(), examples=["[PadA, PadB]"])
    axes: Annotated[tuple[PadAxis, ...], Unique] = Field(default=(), examples=["[PadLX, PadLY]"])


class ControlsEntry(Model):
    """The only inputs of the game that are ever recorded or pressed."""

    keys: Annotated[tuple[KeyName, ...], Unique] = Field(default=(), examples=["[left, right, space]"])
    mouse: Mouse = Mouse()
    pad: Pad = Pad()

    @model_validator(mode="after")
    def _not_empty(self) -> "ControlsEntry":
        if not self.flat.size:
            raise mistake(
                "no controls at all", "List the keys the game is played with, for example keys: [left, right]."
            )
        return self

    @property
    def flat(self) -> Controls:
        """In the order of action vectors."""
        relative = ("MouseX", "MouseY") * self.mouse.motion + ("WheelY",) * self.mouse.wheel
        return Controls(self.keys + self.mouse.buttons + self.pad.buttons, relative, self.pad.axes)


def _pattern(raw: str) -> str:
    if not raw:
        raise mistake("empty", "Write part of the name, or leave the line out.")
    if raw.startswith("re:"):
        _compiled(raw.removeprefix("re:"))
    return raw


def _regex(raw: str) -> str:
    if not raw:
        raise mistake("empty", "Write part of the title, or leave the line out.")
    _compiled(raw)
    return raw


def _compiled(regex: str) -> re.Pattern[str]:
    try:
        return re.compile(regex, re.IGNORECASE)
    except (re.error, OverflowError, RecursionError) as error:
        raise mistake(
            f"not a regular expression: {error}", r"Put a backslash before ( ) [ ] . * + ? if meant as is."
        ) from error


ShortText = StringConstraints(max_length=200)


class Match(Model):
    """Which window is the game. What is given must all fit."""

    process: Annotated[str, ShortText, AfterValidator(_pattern)] | None = Field(
        default=None,
        description="Name of the program; * and ? stand for anything. 're:...' is a regular expression instead.",
        examples=["chocolate-doom"],
    )
    title: Annotated[str, ShortText, AfterValidator(_regex)] | None = Field(
        default=None, description="Regular expression found anywhere in the window's title.", examples=["DOOM"]
    )

    @model_validator(mode="after")
    def _not_empty(self) -> "Match":
        if self.process is None and self.title is None:
            raise mistake("matches every window", "Give process, title, or both.")
        return self

    def process_test(self) -> Callable[[str], object] | None:
        """Test for a process name; None when any will do."""
        if self.process is None:
            return None
        if self.process.startswith("re:"):
            return re.compile(self.process.removeprefix("re:"), re.IGNORECASE).search
        return re.compile(fnmatch.translate(self.process), re.IGNORECASE).match

    def title_test(self) -> Callable[[str], object] | None:
        """Test for a title; None when any will do."""
        return None if self.title is None else re.compile(self.title, re.IGNORECASE).search


class Region(Model):
    """The part that is captured, in pixels."""

    of: Literal["window", "screen"] = Field(default="window", description="What left and top count from.")
    rect: Rect = Field(examples=["[0, 0, 640, 480]"], description="Left, top, width, height.")

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        rect = {"type": "array", "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}
        return {"anyOf": [rect, handler.resolve_ref_schema(handler(core_schema))]}

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, raw: Any) -> Any:
        return {"rect": raw} if isinstance(raw, list | tuple) else raw

    @model_validator(mode="after")
    def _sizes(self) -> "Region":
        left, top, width, height = self.rect
        if not (16 <= width <= 16384 and 16 <= height <= 16384):
            raise mistake(f"{width} x {height} pixels", "Width and height are the last two numbers, 16 to 16384.")
        if self.of == "window" and (left < 0 or top < 0):
            raise mistake("starts outside the window", "Left and top count from the window's corner and are 0 or more.")
        return self

    def on_screen(self, window: Rect) -> Rect | None:
        """The captured part in screen pixels, cut to the window; None when nothing of it is left.

        Args:
            window: client area of the game's window on the screen.
        """
        if self.of == "screen":
            return self.rect
        left, top, width, height = self.rect
        width, height = min(width, window[2] - left), min(height, window[3] - top)
        return (window[0] + left, window[1] + top, width, height) if width > 0 and height > 0 else None


_PIXELS = 96 * 72


class FrameSize(Model):
    """What the policy sees: every picture is reduced to this size."""

    width: int = Field(default=96, ge=16, le=320, examples=["96"])
    height: int = Field(default=72, ge=16, le=240, examples=["72"])
    history: int = Field(
        default=4, ge=1, le=8, description="How many of the last pictures it sees at once.", examples=["4"]
    )

    @staticmethod
    def shaped_like(width: int, height: int) -> "FrameSize":
        """About as many pixels as the default, in the shape of a picture of that size: nothing is squeezed."""
        shape = min(4.0, max(0.25, width / height))
        wide = 8 * round((_PIXELS * shape) ** 0.5 / 8)
        return FrameSize(width=wide, height=round(wide / shape))


def _vector(raw: Any) -> Any:
    if isinstance(raw, bool) or not isinstance(raw, int | list | tuple):
        raise mistake(f"neither a whole number nor a list: {raw!r:.40}", "For example: vector: 100")
    if isinstance(raw, int):
        if not 0 <= raw <= vectors.HIGHEST_ID:
            raise mistake(f"id {str(raw)[:20]} is out of range", f"Ids go from 0 to {vectors.HIGHEST_ID}.")
        return raw
    if not 1 <= len(raw) <= vectors.VECTOR_SIZE:
        raise mistake(f"{len(raw)} numbers", f"Give 1 to {vectors.VECTOR_SIZE} numbers, or one id.")
    for i, part in enumerate(raw):
        if isinstance(part, bool) or not isinstance(part, int | float) or not -10 <= part <= 10:
            raise mistake(f"{part!r:.40} is no number from -10 to 10", "For example: vector: [0.5, -1, 0]", (i,))
    return tuple(map(float, raw))


GameVector = Annotated[
    int | tuple[float, ...],
    BeforeValidator(_vector),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": vectors.HIGHEST_ID},
                {
                    "type": "array",
                    "items": {"type": "number", "minimum": -10, "maximum": 10},
                    "minItems": 1,
                    "maxItems": vectors.VECTOR_SIZE,
                },
            ]
        }
    ),
]


class GameEntry(Model):
    """One game as it stands in the file."""

    vector: GameVector = Field(
        description="Tells the policy which game this is: an id (take 100 to 999), or 1 to 8 numbers.", examples=["100"]
    )
    match: Match | None = Field(default=None, description="Which window is the game.")
    environment: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_./:-]{1,100}$")] | None = Field(
        default=None, description="A game from a Python package instead of a window.", examples=["ALE/Pong-v5"]
    )
    mapped: ControlsEntry = Field(
        alias="controls", description="All that may be recorded and pressed.", examples=["{keys: [left, right]}"]
    )
    region: Region | None = Field(
        default=None,
        description="The part of the window to look at; the whole window if left out.",
        examples=["[0, 0, 640, 480]"],
    )
    rate_hz: float = Field(default=15.0, ge=5, le=60, description="Decisions a second.", examples=["15"])
    frame: FrameSize = FrameSize()
    audio: bool = Field(default=False, description="Whether the game's sound is recorded and heard by the policy.")
    decoding: Decoding = Decoding()
    idle_after_s: float = Field(
        default=20.0, ge=2, le=600, description="Watching pauses when nothing was pressed for so long.", examples=["20"]
    )
    play_limit_minutes: float = Field(
        default=30.0, gt=0, le=240, description="The agent stops by itself after so long.", examples=["30"]
    )
    notes: Annotated[str, StringConstraints(max_length=4000)] = Field(
        default="", description="For you; nothing reads it."
    )

    @property
    def controls(self) -> Controls:
        """The game's controls in the order of action vectors."""
        return self.mapped.flat

    @model_validator(mode="after")
    def _whole(self) -> "GameEntry":
        if self.match is None and self.environment is None:
            raise mistake("no window to look for", "Add match: {process: name-of-the-program}.")
        names = self.controls.names
        for written in self.decoding.per_control:
            if any_control(written) not in names:
                remedy = did_you_mean(any_control(written), names, f"This game has {', '.join(names)}.")
                raise mistake("not one of this game's controls", remedy, ("decoding", "per_control", written))
        return self

    def under(self, name: str) -> "GameProfile":
        """The same game with its name."""
        fields = dict(self)
        return GameProfile.model_validate({"name": name, "controls": fields.pop("mapped"), **fields})


class GameProfile(GameEntry):
    """One game under its name."""

    name: str

    @property
    def vector8(self) -> list[float]:
        """The game vector, 8 floats."""
        if isinstance(self.vector, int):
            return list(vectors.of_id(self.vector))
        return list(vectors.of_numbers(self.vector))

    def spec(self, *, audio: bool | None = None, reduction: str = "area-1") -> PolicySpec:
        """What a policy for this game must take and give.

        Args:
            audio: whether sound can be had on this machine; None takes the profile's word.
            reduction: the capture's name for how it shrinks pictures.
        """
        return PolicySpec(
            controls=self.controls,
            rate_hz=self.rate_hz,
            frame_width=self.frame.width,
            frame_height=self.frame.height,
            frames=self.frame.history,
            audio=self.audio if audio is None else self.audio and audio,
            vector_size=vectors.VECTOR_SIZE,
            reduction=reduction,
        )


_NAME = r"^[a-z0-9][a-z0-9_-]{0,39}$"


def _game_name(raw: str) -> str:
    if not re.fullmatch(_NAME, raw):
        slug = re.sub(r"[^a-z0-9_-]+", "-", raw.lower()).strip("-_")[:40]
        remedy = "A name is made of a-z, 0-9, - and _, at most 40 of them"
        raise mistake(f"{raw!r:.60} can't be a game's name", f"{remedy}, for example {slug or 'my-game'!r}.")
    return raw


GameName = Annotated[str, AfterValidator(_game_name), WithJsonSchema({"type": "string", "pattern": _NAME})]


SHIPPED = "shipped"
"""Key of the validation context under which a user's file is told the shipped profiles."""


class GamesFile(Model):
    """A whole games.yaml."""

    games: dict[GameName, GameEntry] = Field(description="Name of the game (a-z, 0-9, - and _) -> its profile.")

    @model_validator(mode="after")
    def _different_vectors(self, info: ValidationInfo) -> "GamesFile":
        shipped: dict[str, GameProfile] = (info.context or {}).get(SHIPPED, {})
        owners: dict[object, str] = {other.vector: name for name, other in shipped.items() if name not in self.games}
        for name, entry in self.games.items():
            if entry.vector in owners:
                what = f"vector {entry.vector} already belongs to {owners[entry.vector]!r}"
                raise mistake(what, f"Take another, for example {free_id(self.games)}.", ("games", name))
            owners[entry.vector] = name
        return self

    def profiles(self) -> dict[str, GameProfile]:
        """Profiles by name, in the order of the file."""
        return {name: entry.under(name) for name, entry in self.games.items()}


def free_id(games: dict[str, Any]) -> int:
    """Lowest id from 100 on that no game of these has; ids below 100 are for shipped profiles."""
    taken = {entry.vector for entry in games.values()}
    return next(i for i in range(100, vectors.HIGHEST_ID + 1) if i not in taken)
