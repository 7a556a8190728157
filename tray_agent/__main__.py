"""`python -m tray_agent` and the `tray-agent` command."""

import sys


def main() -> int:
    """Entry point; the exit code."""
    from tray_agent.clients.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
