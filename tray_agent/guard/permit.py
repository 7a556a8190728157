"""The right to press (standard library only). Owned by the guard's single thread.

Starts revoked, is given by a human act only, ends by itself, and stays revoked until the next human act.
"""

from enum import Enum


class HumanAct(Enum):
    """What a person can do to hand the game over; nothing else grants a permit."""

    HOTKEY = "the play hotkey"
    REQUEST = "a request by tray, window or command line"


class Permit:
    """Revocable, expiring right to press keys; each grant has its own epoch."""

    def __init__(self) -> None:
        self._held = False
        self._epoch = 0
        self._expires_ns = 0
        self._act: HumanAct | None = None

    @property
    def epoch(self) -> int:
        """Number of the newest grant; 0 before the first."""
        return self._epoch

    @property
    def expires_ns(self) -> int:
        """When the newest grant ends by itself (monotonic ns)."""
        return self._expires_ns

    @property
    def granted_by(self) -> HumanAct | None:
        """The human act behind the newest grant."""
        return self._act

    def grant(self, act: HumanAct, epoch: int, expires_ns: int) -> None:
        """Allow pressing until `expires_ns`.

        Raises:
            ValueError: no human act, or an epoch that is not newer than every one before.
        """
        if not isinstance(act, HumanAct):
            raise ValueError(f"a permit needs a human act, not {act!r}")  # noqa: TRY004 - one error for a bad grant
        if epoch <= self._epoch:
            raise ValueError(f"epoch {epoch} is not newer than {self._epoch}")
        self._epoch, self._expires_ns, self._act = epoch, expires_ns, act
        self._held = True

    def revoke(self) -> bool:
        """End it, for good until the next grant. Idempotent, takes no lock, can't raise. True if it was held."""
        was, self._held = self._held, False
        return was

    @property
    def held(self) -> bool:
        """Whether it was granted and not revoked since; says nothing of time."""
        return self._held

    def allows(self, epoch: int, now_ns: int) -> bool:
        """Whether pressing for `epoch` is allowed at `now_ns`."""
        return self._held and epoch == self._epoch and now_ns < self._expires_ns
