"""Whether pads can be read and pressed on this machine, tried for real (for `doctor`)."""

from typing import TypedDict

from tray_agent.errors import PlatformUnavailable
from tray_agent.platforms.pad.press import VirtualPad
from tray_agent.platforms.pad.read import PadSource


class CheckResult(TypedDict):
    """One line of `doctor`; `state` is "works", "degraded" or "missing"."""

    name: str
    state: str
    tried: str
    remedy: str


def check_read() -> CheckResult:
    """Start the reader, see whether a pad is plugged in; takes up to some seconds."""
    source = PadSource()
    try:
        source.start()
        source.read(0.3)
        pads = source.pads
    except PlatformUnavailable as error:
        return CheckResult(
            name="pad reading",
            state="missing",
            tried=str(error).removesuffix(error.remedy).strip(),
            remedy=error.remedy,
        )
    finally:
        source.close()
    if pads:
        tried = f"the reader runs and sees {', '.join(pads)}"
        return CheckResult(name="pad reading", state="works", tried=tried, remedy="")
    tried = "the reader runs; no pad is plugged in, so no press could be seen"
    return CheckResult(name="pad reading", state="degraded", tried=tried, remedy="Plug a pad in and ask again")


def check_press() -> CheckResult:
    """Plug a virtual pad in and out; nothing is pressed."""
    pad = VirtualPad()
    try:
        pad.start()
    except PlatformUnavailable as error:
        return CheckResult(
            name="pad pressing",
            state="missing",
            tried=str(error).removesuffix(error.remedy).strip(),
            remedy=error.remedy,
        )
    finally:
        pad.close()
    tried = "a virtual pad was plugged in and out again"
    return CheckResult(name="pad pressing", state="works", tried=tried, remedy="")
