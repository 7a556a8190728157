"""One cell of the results table: which game, whose policy, which budget (no I/O)."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

OURS = "ours"
OURS_START = "ours-start"
LEARNED_VECTORS = "shared-vectors"
"""One model for all games with `trainer.vectors: learned`."""
ADVERSARIAL = {"ours-adversarial": "chunks", "ours-adversarial-sessions": "sessions"}
"""Those of the product's own policies that are learned with another setting `trainer.adversarial` than "none"."""
REACTION = {"ours-reaction": "auto"}
"""The same of `trainer.reaction`."""
ENCODERS = {OURS: "bundled", "ours-scratch": "scratch", OURS_START: "start:"} | dict.fromkeys(
    (*ADVERSARIAL, *REACTION), "bundled"
)
"""The product's own policies, with the setting `trainer.encoder` of each; a cell's file follows that of OURS_START."""
REFERENCES = "references"
"""The cell of a game that holds random, constant and player scores; it has no seed."""
SEED_STRIDE = 1_000_000
"""Episodes of different purposes never share a seed: watching, validating, playing are so far apart."""
_OF_START = ("start", "start_digest")


@dataclass(frozen=True)
class Cell:
    """What one measurement needs to be run again.

    Attributes:
        game: name of a packaged game that has a profile and a scripted player.
        policy: one of ENCODERS, REFERENCES or the name of a peer.
        seed: of recording, learning and playing.
        minutes: game time watched.
        train_s: wall time of learning, seconds.
        episodes: fresh episodes played.
        threads: cores that learning may use.
        faults: whether the player has human faults (delay, noise, pauses).
        more: "" or what follows the first learning: "corrections" or "watching", for as many minutes again.
        start: path of the file that OURS_START begins with, else "". It may lie elsewhere next time.
        start_digest: of that file's content, else "".
    """

    game: str
    policy: str
    seed: int = 0
    minutes: float = 10.0
    train_s: float = 120.0
    episodes: int = 20
    threads: int = 2
    faults: bool = False
    more: str = ""
    start: str = ""
    start_digest: str = ""

    @property
    def key(self) -> str:
        """File name of its result: readable, and another one whenever any field but `start` differs."""
        fields = {name: value for name, value in self.to_json().items() if name != "start"}
        digest = hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:8]
        return f"{self.game.replace(':', '_')}.{self.policy}.s{self.seed}.{digest}"

    @property
    def label(self) -> str:
        """For progress lines."""
        if self.policy == REFERENCES:
            return f"{self.game}: references"
        extras = [text for text in ("faults" if self.faults else "", self.more) if text]
        return f"{self.game}: {self.policy}, seed {self.seed}" + (f" ({', '.join(extras)})" if extras else "")

    @property
    def name(self) -> str:
        """Whose policy, and what it had more than one learning: a column of the table."""
        return f"{self.policy} + {self.more}" if self.more else self.policy

    @property
    def encoder(self) -> str:
        """The setting `trainer.encoder` it learns with."""
        return ENCODERS.get(self.policy, ENCODERS[OURS]) + self.start

    def to_json(self) -> dict[str, Any]:
        """Plain data, without fields of OURS_START for others: results from before there was one keep their keys."""
        return {name: value for name, value in asdict(self).items() if value or name not in _OF_START}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Cell":
        """Inverse of `to_json`.

        Raises:
            TypeError: a field is missing or unknown.
        """
        return Cell(**data)


def references(game: str, episodes: int, faults: bool) -> Cell:
    """The cell of a game's reference scores: they do not depend on seed, minutes or learning."""
    return Cell(game, REFERENCES, minutes=0.0, train_s=0.0, episodes=episodes, threads=1, faults=faults)
