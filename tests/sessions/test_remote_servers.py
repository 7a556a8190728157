"""Sessions fetched from real servers on this machine: HTTP, SFTP, one that speaks S3; skipped without their clients."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from session_data import record

from tray_agent.errors import SessionError
from tray_agent.sessions.address import find_remote
from tray_agent.sessions.fetched import FetchedSessions
from tray_agent.sessions.reader import SessionReader

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A session."""
    record(tmp_path / "store" / "game" / "a", range(20))
    return tmp_path / "store"


def fetched(address: str, root: Path) -> SessionReader:
    """The only session there."""
    user = FetchedSessions(root, 1e9, lambda text: None)
    (folder,) = user.fetch(find_remote(address, "game"))
    user.close()
    return SessionReader(folder)


def is_copy(reader: SessionReader, store: Path) -> bool:
    original = SessionReader(store / "game" / "a")
    mine, theirs = (one.frames(0, len(one)) for one in (reader, original))
    return np.array_equal(mine, theirs) and reader.events == original.events


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing."""


@pytest.fixture
def web(store: Path) -> Iterator[str]:
    """Python's own web server, whose folders are index pages."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(store))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_from_a_web_server(web: str, store: Path, tmp_path: Path) -> None:
    """Sizes are asked for one by one, index pages have none; what is missing is told."""
    pytest.importorskip("aiohttp", reason="aiohttp is not installed")
    assert is_copy(fetched(web, tmp_path / "cache"), store)
    assert is_copy(fetched(f"{web}/game/a/", tmp_path / "cache"), store)
    with pytest.raises(SessionError, match="there is nothing"):
        find_remote(f"{web}/nowhere", "game")


_SSH = """
import asyncio, asyncssh, sys
async def serve():
    its = asyncssh.generate_private_key("ssh-ed25519")
    server = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[its], authorized_client_keys=sys.argv[1], sftp_factory=True
    )
    print(server.get_port(), its.export_public_key().decode().strip(), flush=True)
    await asyncio.Event().wait()
asyncio.run(serve())
"""


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """An SFTP server that lets one key in: its port, and its line for known_hosts."""
    pytest.importorskip("sshfs", reason="sshfs is not installed")
    asyncssh = pytest.importorskip("asyncssh", reason="sshfs is not installed")
    keys = tmp_path / "home" / ".ssh"
    keys.mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    mine = asyncssh.generate_private_key("ssh-ed25519")
    mine.write_private_key(str(keys / "id_ed25519"))
    mine.write_public_key(str(tmp_path / "authorized"))
    command = [sys.executable, "-c", _SSH, str(tmp_path / "authorized")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        port, key = server.stdout.readline().split(maxsplit=1)
        yield port, f"[127.0.0.1]:{port} {key}"
        server.kill()


def test_from_another_computer_by_sftp(ssh: tuple[str, str], store: Path, tmp_path: Path) -> None:
    """Only from a server whose key is known, and with a key of one's own."""
    port, line = ssh
    address = f"sftp://me@127.0.0.1:{port}{store}"
    with pytest.raises(SessionError, match=r"[Hh]ost key"):
        find_remote(address, "game")
    (tmp_path / "home" / ".ssh" / "known_hosts").write_text(line)
    assert is_copy(fetched(address, tmp_path / "cache"), store)
    with pytest.raises(SessionError, match="there is nothing"):
        find_remote(f"{address}/nowhere", "game")


@pytest.fixture
def bucket(store: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A server that speaks S3, with the session in it."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    moto = pytest.importorskip("moto.server", reason="moto is not installed")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "me")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")
    files = fsspec.filesystem("s3")
    files.mkdir("recordings")
    files.put(str(store / "game"), "recordings/sessions/game", recursive=True)
    yield "s3://recordings/sessions"
    server.stop()


def test_from_a_server_that_speaks_s3(bucket: str, store: Path, tmp_path: Path) -> None:
    """Address and keys are in the environment, as other programs have them."""
    assert is_copy(fetched(bucket, tmp_path / "cache"), store)
    with pytest.raises(SessionError, match="there is nothing"):
        find_remote("s3://recordings/nowhere", "game")
