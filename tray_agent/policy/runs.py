"""The bundles of all games: listing, finding by a few letters, going back to an earlier one. No threads."""

from dataclasses import dataclass
from pathlib import Path

from tray_agent.errors import BundleError
from tray_agent.policy.bundle import (
    IMPORTED,
    MANIFEST_NAME,
    Bundle,
    Manifest,
    current_folder,
    load_bundle,
    make_current,
    run_folders,
)
from tray_agent.policy.decode import Decoding
from tray_agent.policy.manifest_check import check_fit
from tray_agent.policy.onnx_policy import OnnxPolicy
from tray_agent.settings.games import GameProfile


@dataclass(frozen=True)
class Run:
    """One bundle on disk.

    Attributes:
        folder: where it lies; its name is the run's, its parent's the game's.
        is_current: whether it is the one in use.
        bytes: on disk.
        manifest: None where it is damaged.
        problem: in what, "" if it is whole.
    """

    folder: Path
    is_current: bool
    bytes: int
    manifest: Manifest | None
    problem: str = ""


def list_runs(models: Path, game: str = "") -> list[Run]:
    """Every bundle of a game or of all games, by game and age; damaged ones too."""
    found = [path.name for path in models.iterdir() if path.is_dir()] if models.is_dir() else []
    return [run for name in sorted(found) if name == game or not game for run in _runs_of(models, name)]


def _runs_of(models: Path, game: str) -> list[Run]:
    try:
        current = current_folder(models, game)
    except BundleError:
        current = None  # whoever uses it is told; here it is seen by none being current
    return [_run(folder, folder == current) for folder in run_folders(models, game)]


def _run(folder: Path, is_current: bool) -> Run:
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    try:
        return Run(folder, is_current, size, load_bundle(folder).manifest)
    except BundleError as error:
        return Run(folder, is_current, size, None, str(error))


def find_run(models: Path, words: str) -> Path:
    """Folder of the bundle a person means: a folder, GAME (the one in use), GAME/RUN, or the beginning of RUN.

    Raises:
        BundleError: there is none, or more than one.
    """
    if (Path(words) / MANIFEST_NAME).is_file():
        return Path(words).absolute()
    games = sorted(path.name for path in models.iterdir() if path.is_dir()) if models.is_dir() else []
    if words in games:
        current = current_folder(models, words)
        if current is None:
            raise BundleError(f"{words} has no bundle in use. `tray-agent models list {words}` shows what there is")
        return current
    game, _, beginning = words.rpartition("/")
    folders = [folder for name in games if name == game or not game for folder in run_folders(models, name)]
    exact = [folder for folder in folders if folder.name == beginning]
    fitting = exact or [folder for folder in folders if beginning and folder.name.startswith(beginning)]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        names = ", ".join(f"{folder.parent.name}/{folder.name}" for folder in fitting)
        raise BundleError(f"{words!r} may be any of {names}. Write more of it")
    raise BundleError(f"there is no bundle {words!r} in {models}. `tray-agent models list` shows all there are")


def roll_back(models: Path, game: str, run: str = "", profile: GameProfile | None = None) -> tuple[Path | None, Bundle]:
    """Put an earlier bundle in use: the one named, or the one learned before the one in use.

    Args:
        models: root folder of bundles.
        game: whose.
        run: name of the bundle, or its beginning; "" for the one before.
        profile: what it must fit; None where the game is no longer configured.

    Returns:
        Folder of the one that was in use (None: there was none, or it was lost), and the one that is.

    Raises:
        BundleError: there is none, or it is damaged or does not fit; what is in use stays in use.
    """
    try:
        was = current_folder(models, game)
    except BundleError:
        was = None  # a damaged pointer is a reason to come here
    folder = find_run(models, f"{game}/{run}") if run else _before(models, game, was)
    bundle = usable(folder, profile)
    make_current(folder)
    return was, bundle


def usable(folder: Path, profile: GameProfile | None) -> Bundle:
    """A bundle that will play: whole, made for the profile if there is one, and its graph runs. Raises BundleError."""
    bundle = load_bundle(folder)
    if profile is not None:
        try:
            check_fit(bundle.manifest, profile.name, profile)
        except BundleError as error:
            raise BundleError(f"{folder} can't be used: {error}") from error
    OnnxPolicy(bundle, Decoding())
    return bundle


def _before(models: Path, game: str, was: Path | None) -> Path:
    learned = [folder for folder in run_folders(models, game) if not folder.name.endswith(IMPORTED)]
    earlier = [folder for folder in learned if was is None or folder.name < was.name]
    if not earlier:
        raise BundleError(
            f"{game} has no bundle from before the one in use. `tray-agent models list {game}` shows what there is; "
            "name one to put it in use"
        )
    return earlier[-1]
