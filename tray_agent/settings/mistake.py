"""How validators report a mistake, so that it ends as `file:line:column: field: what. remedy` (no I/O)."""

import difflib
from collections.abc import Iterable

from pydantic_core import PydanticCustomError

MISTAKE = "mistake"


def mistake(what: str, remedy: str, at: tuple[str | int, ...] = ()) -> PydanticCustomError:
    """An error for a pydantic validator to raise.

    Args:
        what: what is wrong, without full stop.
        remedy: one sentence telling what to write instead.
        at: path from the validated value to the part that is wrong.
    """
    return PydanticCustomError(MISTAKE, "{what}. {remedy}", {"what": what, "remedy": remedy, "at": list(at)})


def closest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like `name`, whatever its case; None when nothing comes near."""
    folded = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(name.strip().lower(), folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def did_you_mean(name: str, known: Iterable[str], otherwise: str) -> str:
    """Remedy sentence for an unknown name."""
    found = closest(name, known)
    return f"Did you mean {found!r}?" if found else otherwise
