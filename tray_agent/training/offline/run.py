"""A whole run: sessions found or found again, learned, published (torch; the main thread)."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from tray_agent.errors import SettingsError
from tray_agent.sessions.address import RemoteSession, find_remote, folder_here, is_remote
from tray_agent.sessions.fetched import FetchedSessions
from tray_agent.settings import paths
from tray_agent.settings.snapshot import load_settings
from tray_agent.training.encoders.source import TIMM, EncoderSource, make_or_fall_back
from tray_agent.training.offline.options import TrainingOptions
from tray_agent.training.offline.progress import Progress
from tray_agent.training.offline.publish import Publisher
from tray_agent.training.offline.ranks import Ranks
from tray_agent.training.offline.recordings import Recordings, as_before, find_folders, open_recordings
from tray_agent.training.offline.run_folder import RunFolder, new_run, newest_run
from tray_agent.training.offline.training import Training


class Run:
    """One run in this process. `go()` does all of it.

    Args:
        asked: options as given.
        ranks: this process among all.
        progress: told how it goes.
    """

    def __init__(self, asked: TrainingOptions, ranks: Ranks, progress: Progress) -> None:
        self._asked, self._ranks, self._progress = asked, ranks, progress
        settings = load_settings().app
        data = paths.data_folder()
        self._sessions = settings.folders.data or data / "sessions"
        self._models = settings.folders.models or data / "models"
        self._runs = data / "runs"
        self._trainer = settings.trainer
        self._copies = FetchedSessions(paths.cache_folder() / "remote", settings.limits.remote_gb * 1e9, self._say)
        self._skipped: dict[str, str] = {}

    def go(self) -> dict[str, Any]:
        """Learn and publish; the summary, of the process that leads.

        Raises:
            TrayAgentError: it can't be done, or not to its end; the message says what to do.
        """
        try:
            return self._learn_and_publish()
        finally:
            self._copies.close()

    def _learn_and_publish(self) -> dict[str, Any]:
        folder = self._folder()
        options, recordings = self._again(folder) if self._asked.resume else self._anew(folder)
        self._compare(recordings)
        source = self._source(options, recordings)
        with_it = Training(options, recordings, source, folder, self._ranks, self._progress, self._skip)
        try:
            with _interruptible(with_it):
                with_it.run()
            summary = with_it.summary() | {"game": options.game, "run": str(folder.folder), "skipped": self._skipped}
            if with_it.interrupted or not self._ranks.leads or not with_it.learner.updates:
                return summary
            with_it.take_best()
            publisher = Publisher(
                options, recordings, with_it.learner, with_it.replay, source.about, self._models, folder
            )
            return summary | publisher.publish().to_json()
        finally:
            with_it.close()

    def _folder(self) -> RunFolder:
        """The same for all processes."""
        if self._asked.out is not None:
            return RunFolder(self._asked.out.absolute())
        game = self._asked.game
        made = newest_run(self._runs, game) if self._asked.resume else new_run(self._runs, game)
        return RunFolder(Path(self._ranks.all_of(str(made.folder))[0]))

    def _anew(self, folder: RunFolder) -> tuple[TrainingOptions, Recordings]:
        asked = self._asked
        options = asked.model_copy(update={
            "threads": asked.threads or self._trainer.cores, "encoder": asked.encoder or self._trainer.encoder,
            "from_bundle": asked.from_bundle.absolute() if asked.from_bundle is not None else None,
        })  # fmt: skip
        if str(options.encoder).startswith(TIMM):
            raise SettingsError(
                f"the encoder {options.encoder} keeps features on disk, not pictures in segments; take --encoder "
                "bundled, scratch or start:FILE"
            )
        copies = self._copied(self._remote(options))
        here = [folder_here(text) for text in options.sessions if not is_remote(text)]
        folders = find_folders(here, self._sessions, options.game) if here or not copies else []
        recordings = open_recordings([*folders, *copies], options.game, options.held_out, self._skip)
        self._tell_sessions(recordings)
        if self._ranks.leads:
            folder.begin(options, {
                "game": options.game, "spec": recordings.spec.to_json(), "sessions": recordings.to_json(copies),
                "skipped": self._skipped, "processes": self._ranks.count,
            })  # fmt: skip
        return options, recordings

    def _again(self, folder: RunFolder) -> tuple[TrainingOptions, Recordings]:
        begun, about = folder.read(self._asked.game)
        options = self._asked.going_on_with(begun)
        recordings = as_before(self._copied_again(about["sessions"]), options.game)
        self._tell_sessions(recordings)
        return options, recordings

    def _remote(self, options: TrainingOptions) -> list[RemoteSession]:
        """What is at the addresses: as the one that leads finds it, for a session may be growing there."""
        addresses = [text for text in options.sessions if is_remote(text)]
        found = [one for address in addresses if self._ranks.leads for one in find_remote(address, options.game)]
        return list(dict.fromkeys(self._ranks.all_of(found)[0]))

    def _copied(self, sessions: Sequence[RemoteSession]) -> dict[Path, RemoteSession]:
        """Copies on this machine; the first process here makes them, and that of the first machine tells so."""
        if sessions and self._ranks.here == 0:
            self._copies.fetch(sessions)
        self._ranks.all_of(self._ranks.rank)
        return self._copies.fetch(sessions)

    def _copied_again(self, kept: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """What a run's folder keeps of its sessions, with the folders of copies as they are on this machine."""
        remote = [RemoteSession.from_json(one["remote"]) for one in kept if "remote" in one]
        folders = {session.address: str(folder) for folder, session in self._copied(remote).items()}
        return [one | {"folder": folders[one["remote"]["address"]]} if "remote" in one else one for one in kept]

    def _compare(self, mine: Recordings) -> None:
        """All processes must have the same sessions, or their shares would not fit together."""
        if self._ranks.count == 1:
            return
        first, *others = self._ranks.all_of(mine.fingerprint())
        wrong = sorted({name for other in others for name in first.keys() | other.keys()
                        if first.get(name) != other.get(name)})  # fmt: skip
        if wrong:
            raise SettingsError(
                f"the processes do not see the same of {', '.join(wrong)}. Several can't learn from what is being "
                "recorded: stop watching, or name other sessions; on several machines name an address"
            )

    def _source(self, options: TrainingOptions, recordings: Recordings) -> EncoderSource:
        source = make_or_fall_back(str(options.encoder), recordings.spec)
        if source.note:
            self._say(source.note)
        return source

    def _tell_sessions(self, found: Recordings) -> None:
        if not self._ranks.leads:
            return
        ticks = sum(len(reader) for reader in found.readers.values())
        held_out = ", ".join(sorted(found.held_out)) or "ten seconds of each minute"
        self._progress.say(
            f"{len(found.readers)} sessions, {ticks} ticks, {ticks / found.spec.rate_hz / 60:.1f} minutes of "
            f"{found.game}; kept out of learning: {held_out}"
        )
        if found.reduced:
            size = f"{found.spec.frame_width}x{found.spec.frame_height}"
            self._progress.say(f"{len(found.reduced)} of them have larger pictures, which are reduced to {size}")
        if self._skipped:
            self._progress.say(f"{len(self._skipped)} sessions are left out")

    def _say(self, text: str) -> None:
        if self._ranks.leads:
            self._progress.say(text)

    def _skip(self, name: str, why: str) -> None:
        self._skipped[name] = why
        self._say(f"left out: {name}: {why}")


@contextmanager
def _interruptible(training: Training) -> Iterator[None]:
    """Ctrl-C and a polite kill end learning after the update it is at; a second one ends it at once."""

    def stop(number: int, _: object) -> None:
        training.interrupted = True
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def one_thread_of_torch() -> None:
    """As the trainer runs: more cores are used by the learner's lanes."""
    torch.set_num_threads(1)
