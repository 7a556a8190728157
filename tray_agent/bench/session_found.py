"""What a part of `bench sessions` found (no I/O)."""

from dataclasses import dataclass, field


@dataclass
class Found:
    """Of one part, or of several.

    Attributes:
        metrics: flat numbers.
        notes: sentences on how they were taken.
        missing: what could not be measured here -> why.
    """

    metrics: dict[str, float | int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Found") -> None:
        """Take in what another part found."""
        self.metrics |= other.metrics
        self.notes += other.notes
        self.missing |= other.missing
