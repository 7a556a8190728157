"""Which session is meant: a folder, a name or how it begins, `latest`, `GAME/latest`. Runs on the caller's thread."""

from pathlib import Path

from tray_agent.errors import SessionError
from tray_agent.sessions.layout import METADATA, game_folder

LATEST = "latest"


def find_session(root: Path, text: str) -> Path:
    """Folder of the session that `text` means; damaged ones are found as well.

    Args:
        root: of all sessions.
        text: a folder, the name of one under `root` or its beginning, "latest", or "GAME/latest".

    Raises:
        SessionError: none is meant, or several are.
    """
    game, _, last = text.replace("\\", "/").rpartition("/")
    if last == LATEST:
        return _latest(root, game)
    path = Path(text).expanduser()
    if path.is_dir() and ((path / METADATA).exists() or path.resolve().parent.parent == root.resolve()):
        return path.resolve()
    return _named(root, text)


def _latest(root: Path, game: str) -> Path:
    found = _subfolders(game_folder(root, game)) if game else [f for g in _subfolders(root) for f in _subfolders(g)]
    if not found:
        raise SessionError(f"there is no session{' of ' + game if game else ''} in {root}")
    return max(found, key=lambda folder: folder.name)


def _named(root: Path, text: str) -> Path:
    folders = [f for g in _subfolders(root) for f in _subfolders(g)]
    names = {f: (f.name, f"{f.parent.name}/{f.name}") for f in folders}
    exact = [f for f in folders if text in names[f]]
    found = exact or [f for f in folders if any(name.startswith(text) for name in names[f])]
    if len(found) == 1 and text:
        return found[0]
    if not found or not text:
        raise SessionError(f"there is no session {text!r} in {root}. See: tray-agent sessions list")
    some = ", ".join(sorted(f.name for f in found)[:5])
    raise SessionError(f"{text!r} may mean {len(found)} sessions ({some}{', ...' if len(found) > 5 else ''})")


def _subfolders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return [f for f in folder.iterdir() if f.is_dir() and not f.name.startswith(".")]
