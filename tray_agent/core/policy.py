"""What a policy is for, and the digest that ties a bundle to it (numpy; no I/O)."""

import hashlib
import json
from dataclasses import asdict, dataclass, field

from tray_agent.core.controls import Controls
from tray_agent.core.sample import AUDIO_BANDS, AUDIO_STEPS


@dataclass(frozen=True)
class PolicySpec:
    """Inputs and outputs of a policy: all that must agree between watching, learning and playing.

    Attributes:
        controls: what it presses.
        rate_hz: decisions a second.
        frame_width, frame_height: pixels of one frame.
        frames: how many of the last frames it sees, oldest first.
        audio: whether it hears.
        vector_size: length of the game vector.
        reduction: name of the capture's reduction to frame size, for example "area-1".
    """

    controls: Controls
    rate_hz: float
    frame_width: int
    frame_height: int
    frames: int = 4
    audio: bool = False
    vector_size: int = 8
    reduction: str = "area-1"
    audio_shape: tuple[int, int] = field(default=(AUDIO_STEPS, AUDIO_BANDS))

    @property
    def digest(self) -> str:
        """16 hex digits over every field."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, object]:
        """Plain data for manifests and session metadata."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, object]) -> "PolicySpec":
        """Inverse of `to_json`.

        Raises:
            TypeError: a field is missing or unknown.
        """
        fields = dict(data)
        raw = fields.pop("controls")
        if not isinstance(raw, dict):
            raise TypeError("controls: not a mapping")
        fields["controls"] = Controls(**{k: tuple(v) for k, v in raw.items()})
        if "audio_shape" in fields:
            fields["audio_shape"] = tuple(fields["audio_shape"])  # type: ignore[arg-type]
        return PolicySpec(**fields)  # type: ignore[arg-type]
