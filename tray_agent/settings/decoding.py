"""How a policy's opinion becomes presses: the `decoding` part of a profile (no I/O)."""

from typing import Any

from pydantic import Field, model_validator

from tray_agent.settings.control_names import any_control
from tray_agent.settings.mistake import mistake
from tray_agent.settings.model import Model


class ControlDecoding(Model):
    """How one control is pressed."""

    temperature: float | None = Field(default=None, ge=0.1, le=2.0, examples=["0.5"])
    min_hold_ms: int = Field(
        default=0, ge=0, le=5000, description="Once pressed, held at least so long.", examples=["60"]
    )
    max_hold_ms: int | None = Field(
        default=None, ge=10, le=60000, description="Let go after so long.", examples=["400"]
    )
    max_rate_hz: float | None = Field(
        default=None, gt=0, le=30, description="Presses a second at most.", examples=["4"]
    )
    threshold: float | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Press when the policy is at least so sure, instead of by chance.",
        examples=["0.5"],
    )

    @model_validator(mode="after")
    def _holds(self) -> "ControlDecoding":
        if self.max_hold_ms is not None and self.max_hold_ms < self.min_hold_ms:
            raise mistake("min_hold_ms is more than max_hold_ms", "Make max_hold_ms the larger one.", ("max_hold_ms",))
        return self


class Decoding(Model):
    """How the policy's opinion becomes presses."""

    temperature: float = Field(
        default=1.0, ge=0.1, le=2.0, description="1 plays like the player did; less is calmer.", examples=["0.7"]
    )
    per_control: dict[str, ControlDecoding] = Field(default={}, description="Control name -> its own settings.")

    @model_validator(mode="after")
    def _known(self) -> "Decoding":
        self.by_control()
        return self

    def by_control(self) -> dict[str, ControlDecoding]:
        """`per_control` under full names."""
        found: dict[str, ControlDecoding] = {}
        for written, value in self.per_control.items():
            try:
                name = any_control(written)
            except ValueError as error:
                raise _moved(error, ("per_control", written)) from error
            if name in found:
                raise mistake(f"{name} is listed twice", "Remove one of the two.", ("per_control", written))
            found[name] = value
        return found

    def of(self, control: str) -> ControlDecoding:
        """Settings of one control (full name); `temperature` is filled in."""
        own = self.by_control().get(control) or ControlDecoding()
        if own.temperature is not None:
            return own
        return own.model_copy(update={"temperature": self.temperature})


def _moved(error: Any, at: tuple[str | int, ...]) -> Any:
    """The same mistake, seen from a value further up."""
    return mistake(error.context["what"], error.context["remedy"], at)
