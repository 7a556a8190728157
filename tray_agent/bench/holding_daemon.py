"""A daemon that holds keys through its guard until killed: `python -m tray_agent.bench.holding_daemon HELLO KEYS`.

Prints "holding" after its first act. Main thread only (besides the client's own).
"""

import sys

from tray_agent.core.events import Command
from tray_agent.guard.client import GuardClient
from tray_agent.guard.protocol import Armed, Game, Hello

ACTS_PER_S = 60


def main() -> int:
    """Hold for ever; 1 when the guard gave no permit."""
    keys = tuple(sys.argv[2].split(","))
    client = GuardClient(Hello.from_json(sys.argv[1]))
    client.start()
    client.set_game(Game(keys))
    client.ask_permit()
    first = client.poll(5.0)
    if not first or not isinstance(first[0], Armed):
        sys.stderr.write(f"no permit: {first}\n")
        client.request_stop()
        return 1
    seq = 0
    while True:
        client.act(first[0].epoch, seq, Command(frozenset(keys)))
        if seq == 0:
            print("holding", flush=True)
        seq += 1
        client.poll(1.0 / ACTS_PER_S)


if __name__ == "__main__":
    sys.exit(main())
