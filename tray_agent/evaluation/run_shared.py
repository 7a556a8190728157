"""Takes one step of a chain: `python -m tray_agent.evaluation.run_shared CHAIN STEP FOLDER RECORDINGS`.

Prints JSON lines as `run_cell` does.
"""

import json
import sys
from pathlib import Path

from tray_agent.evaluation.run_cell import Printer, answer
from tray_agent.evaluation.shared_chain import Chain
from tray_agent.evaluation.shared_step import take_step


def main() -> int:
    """Entry of the process."""
    chain, folder, recordings = Chain.from_json(json.loads(sys.argv[1])), Path(sys.argv[3]), Path(sys.argv[4])
    return answer(lambda: take_step(chain, sys.argv[2], folder, recordings, Printer()))


if __name__ == "__main__":
    sys.exit(main())
