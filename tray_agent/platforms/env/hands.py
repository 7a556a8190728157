"""Who holds what on a packaged game's keyboard (standard library only; whoever steps the game owns it)."""

from tray_agent.core.events import Command, EventKind, InputEvent

PLAYER_DEVICE = "player"
AGENT_DEVICE = "agent"


class Hand:
    """What one side holds; tells each change as an event."""

    def __init__(self, device: str, own: bool) -> None:
        self._device = device
        self._own = own
        self.command = Command()

    def take(self, command: Command, t_ns: int) -> list[InputEvent]:
        """Hold exactly `command` from now on; the events that this makes, releases first."""
        old, self.command = self.command, command
        events = [self._event(t_ns, "button", key, 0.0) for key in sorted(old.held - command.held)]
        events += [self._event(t_ns, "button", key, 1.0) for key in sorted(command.held - old.held)]
        events += [self._event(t_ns, "relative", name, moved) for name, moved in command.relative.items() if moved]
        for name in sorted({*old.axes, *command.axes}):
            place = command.axes.get(name, 0.0)
            if place != old.axes.get(name, 0.0):
                events.append(self._event(t_ns, "axis", name, place))
        return events

    def held_now(self, t_ns: int) -> list[InputEvent]:
        """All that is held, as events: for who begins to listen in the middle of a press."""
        return Hand(self._device, self._own).take(Command(self.command.held, {}, self.command.axes), t_ns)

    def press(self, control: str, down: bool, t_ns: int) -> list[InputEvent]:
        """Press or let go of one key, leaving the others."""
        held = self.command.held | {control} if down else self.command.held - {control}
        return self.take(Command(held, {}, self.command.axes), t_ns)

    def moved(self) -> None:
        """Relative moves have been played: they count once."""
        self.command = Command(self.command.held, {}, self.command.axes)

    def _event(self, t_ns: int, kind: EventKind, control: str, value: float) -> InputEvent:
        return InputEvent(t_ns, kind, control, value, self._device, self._own)


def merge(*commands: Command) -> Command:
    """What the game gets: a key is down if anyone holds it, moves add up, the farthest axis position wins."""
    relative: dict[str, float] = {}
    axes: dict[str, float] = {}
    for command in commands:
        for name, moved in command.relative.items():
            relative[name] = relative.get(name, 0.0) + moved
        for name, place in command.axes.items():
            axes[name] = max(axes.get(name, 0.0), place, key=abs)
    return Command(frozenset().union(*(command.held for command in commands)), relative, axes)
