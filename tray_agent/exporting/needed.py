"""Libraries that only some formats need (the optional extra `export`)."""

import importlib
from typing import Any

from tray_agent.errors import PlatformUnavailable


def needed(module: str, whom: str) -> Any:
    """The module.

    Args:
        module: for example "pyarrow.parquet".
        whom: what can't be written without it, for the message.

    Raises:
        PlatformUnavailable: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.split(".", maxsplit=1)[0]
        remedy = f"Run: pip install {package}   (or pip install 'tray-agent[export]' for all formats)"
        raise PlatformUnavailable(f"{whom} can't be written: {error}", remedy) from error
