"""Their names of actions -> our controls; counts what is left out (no I/O)."""

from collections import Counter
from collections.abc import Iterable, Mapping

from tray_agent.core import keys
from tray_agent.core.controls import Controls
from tray_agent.errors import ImportFailed


class ActionNames:
    """One game's view of a format's actions. One thread."""

    def __init__(self, controls: Controls, defaults: Mapping[str, str], own: Mapping[str, str]) -> None:
        """Prepare.

        Args:
            controls: of the game.
            defaults: of the format: their name -> ours, more than one joined by "+".
            own: the user's, which go before; "" leaves an action out on purpose.

        Raises:
            ImportFailed: the user names a control that does not exist, or that the game does not have.
        """
        self._controls = frozenset(controls.names)
        self._defaults = defaults
        self._own = {theirs: _checked(theirs, ours, controls) for theirs, ours in own.items()}
        self._known: dict[str, tuple[str, ...]] = {}
        self._why: dict[str, str] = {}
        self._lost: Counter[str] = Counter()

    @property
    def lost(self) -> dict[str, tuple[int, str]]:
        """Their name -> steps in which it was pressed and (partly) left out, and why; most frequent first."""
        return {name: (count, self._why[name]) for name, count in self._lost.most_common()}

    def ours(self, theirs: str) -> tuple[str, ...]:
        """The controls of the game that an action stands for; none when it can't be mapped."""
        if theirs not in self._known:
            self._known[theirs] = self._find(theirs)
        return self._known[theirs]

    def values(self, actions: Mapping[str, float]) -> dict[str, float]:
        """One step's values by control of ours, and counts what is lost. Several actions on one control add up."""
        found: dict[str, float] = {}
        for theirs, value in actions.items():
            for ours in self.ours(theirs):
                found[ours] = found.get(ours, 0.0) + float(value)
            if value and theirs in self._why:
                self._lost[theirs] += 1
        return found

    def any_of(self, theirs: Iterable[str]) -> bool:
        """Whether at least one of these can be mapped."""
        return any(self.ours(name) for name in theirs)

    def _find(self, theirs: str) -> tuple[str, ...]:
        if theirs in self._own:
            return self._own[theirs]
        parts = [_canonical(part) for part in self._defaults.get(theirs, theirs).split("+")]
        missing = [part for part in parts if part is not None and part not in self._controls]
        if None in parts:
            self._why[theirs] = "stands for no control"
        elif missing:
            self._why[theirs] = f"{' and '.join(missing)}: not among the game's controls"
        return tuple(part for part in parts if part in self._controls)


def _canonical(name: str) -> str | None:
    try:
        return keys.canonical(name)
    except ValueError:
        return None


def _checked(theirs: str, ours: str, controls: Controls) -> tuple[str, ...]:
    parts = [_canonical(part) or part for part in ours.split("+") if ours]
    for part in parts:
        if part not in controls.names:
            remedy = f"It has {', '.join(controls.names)}; list more in its profile if it is played with more"
            raise ImportFailed(f"--map {theirs}={ours}: {part!r} is not among the game's controls. {remedy}")
    return tuple(parts)
