"""Libraries that only some formats need (the optional extras `import` and `export`) or addresses (`remote`)."""

import importlib
from typing import Any

from tray_agent.errors import PlatformUnavailable


def needed(module: str, otherwise: str, extra: str) -> Any:
    """The module.

    Args:
        module: for example "pyarrow.parquet".
        otherwise: what can't be done without it, for the message.
        extra: name of the extra that brings it along.

    Raises:
        PlatformUnavailable: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".", maxsplit=1)[0]
        remedy = f"Run: pip install {package}   (or pip install 'tray-agent[{extra}]' for all of them)"
        raise PlatformUnavailable(f"{otherwise}: {error}", remedy) from error
