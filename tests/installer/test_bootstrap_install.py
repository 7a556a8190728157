"""The bootstrap end to end: real environments, real pip, a checkout small enough to install in seconds, offline."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

INSTALLER = Path(__file__).resolve().parents[2] / "installer"

PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]

[project]
name = "tray-agent"
version = "0.1"
dependencies = ["smalldep>=1"]

[project.optional-dependencies]
test = []
games = []
evaluate = []
"""
BACKEND = """
import zipfile
def build_editable(folder, config_settings=None, metadata_directory=None):
    name = "tray_agent-0.1-py3-none-any.whl"
    tag = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
    meta = "Metadata-Version: 2.1\\nName: tray-agent\\nVersion: 0.1\\nRequires-Dist: smalldep>=1\\n"
    meta += "Provides-Extra: test\\nProvides-Extra: games\\nProvides-Extra: evaluate\\n"
    with zipfile.ZipFile(folder + "/" + name, "w") as wheel:
        wheel.writestr("tray_agent_checkout.pth", __file__.rpartition("/")[0] + "\\n")
        wheel.writestr("tray_agent-0.1.dist-info/METADATA", meta)
        wheel.writestr("tray_agent-0.1.dist-info/WHEEL", tag)
        wheel.writestr("tray_agent-0.1.dist-info/RECORD", "")
    return name
"""


def write_wheel(folder: Path, name: str, version: str) -> None:
    """A package that holds one module telling its version."""
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"__version__ = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")


@dataclass
class Checkout:
    """A copy of the bootstrap with a project that needs nothing from the network."""

    root: Path
    wheels: Path
    extra_env: dict[str, str] = field(default_factory=dict)

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    def environment(self) -> dict[str, str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON"))}
        env |= {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": self.wheels.as_uri()}
        return env | self.extra_env

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, str(self.root / "installer" / "bootstrap.py"), *arguments]
        return subprocess.Popen(
            command, env=self.environment(), stdout=-1, stderr=-1, text=True, cwd="/", start_new_session=True
        )

    def run(self, *arguments: str) -> tuple[int, str, str]:
        with self.start(*arguments) as child:
            out, err = child.communicate(timeout=90)
        return child.returncode, out, err


def make_checkout(root: Path) -> Checkout:
    (root / "installer").mkdir(parents=True)
    (root / "tray_agent").mkdir()
    (root / "wheels").mkdir()
    for name in ("bootstrap.py", "setup_choices.py"):
        shutil.copy(INSTALLER / name, root / "installer" / name)
    (root / "installer" / "constraints.txt").write_text("torch==2.13.0\nsmalldep==1.5\nimitation==1.0\n")
    (root / "pyproject.toml").write_text(PYPROJECT)
    (root / "backend.py").write_text(BACKEND)
    (root / "tray_agent" / "__init__.py").write_text("")
    (root / "tray_agent" / "__main__.py").write_text("import sys; print(sys.argv[1:]); sys.exit(7)\n")
    versions = {"torch": ("2.13.0+cpu", "2.13.0"), "smalldep": ("1.5", "2.0"), "imitation": ("1.0",)}
    for name, each in versions.items():
        for version in each:
            write_wheel(root / "wheels", name, version)
    return Checkout(root, root / "wheels")


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A checkout that is set up, in a folder whose name has a blank and an umlaut."""
    checkout = make_checkout(tmp_path_factory.mktemp("boot") / "Größe 1")
    code, out, err = checkout.run("demo", "--json", "-x")
    assert (code, out) == (7, "['demo', '--json', '-x']\n"), err
    assert "will install into" in err
    assert err.index("smalldep") < err.index("environment")
    return checkout


def test_pins_and_cpu_torch_are_taken(ready: Checkout) -> None:
    """Without an NVIDIA GPU the CPU build is taken, and dependencies come at their tested versions."""
    code, out, _ = ready.run(
        "shell", "python", "-c", "import torch, smalldep; print(torch.__version__, smalldep.__version__)"
    )
    assert code == 0
    assert out.split() == ["2.13.0" if shutil.which("nvidia-smi") else "2.13.0+cpu", "1.5"]


def test_second_start_is_quick_and_silent(ready: Checkout) -> None:
    """A set-up environment starts without installing anything, says nothing, and passes arguments and exit code on."""
    ready.run("run")
    started = time.monotonic()
    code, out, err = ready.run("run", "--log", "x y")
    assert time.monotonic() - started < 5.0
    assert (code, out, err) == (7, "['run', '--log', 'x y']\n", "")


def test_changed_constraints_are_brought_in(ready: Checkout) -> None:
    """After an edit of the constraints the next start installs the change."""
    constraints = ready.root / "installer" / "constraints.txt"
    before = constraints.read_text()
    try:
        constraints.write_text(before.replace("1.5", "2.0"))
        code, out, err = ready.run("shell", "python", "-c", "import smalldep; print(smalldep.__version__)")
        assert (code, out) == (0, "2.0\n"), err
    finally:
        constraints.write_text(before)


def test_half_installed_package_is_made_whole(ready: Checkout) -> None:
    """A package whose installation was cut off is installed again by the next start."""
    site = next(ready.venv.glob("lib/python3*/site-packages"), None) or ready.venv / "Lib" / "site-packages"
    (ready.venv / "tray-agent-stamp.json").unlink()
    (ready.venv / "tray-agent-unfinished").touch()
    (site / "smalldep.py").unlink()
    record = next(site.glob("smalldep-*.dist-info")) / "RECORD"
    record.write_text("smalldep.py,,\n")
    code, _, err = ready.run("shell", "python", "-c", "import smalldep")
    assert code == 0, err
    assert not (ready.venv / "tray-agent-unfinished").exists()


def test_missing_package_is_explained(ready: Checkout) -> None:
    """When pip fails, the message names the log, shows its last lines and tells what to do."""
    constraints = ready.root / "installer" / "constraints.txt"
    before = constraints.read_text()
    try:
        constraints.write_text(before.replace("1.5", "9.9"))
        code, _, err = ready.run("demo")
    finally:
        constraints.write_text(before)
    assert code == 1
    assert "not to be had" in err
    assert "install.log" in err
    assert "smalldep" in err.partition("last lines")[2]
    assert "Traceback" not in err


def test_no_network_is_said(ready: Checkout) -> None:
    """With an index that can't be reached the message says network, and the next start recovers."""
    constraints = ready.root / "installer" / "constraints.txt"
    before = constraints.read_text()
    ready.extra_env = {"PIP_NO_INDEX": "0", "PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "1"}
    try:
        constraints.write_text(before.replace("1.5", "9.9"))
        code, _, err = ready.run("demo")
    finally:
        ready.extra_env = {}
        constraints.write_text(before)
    assert code == 1
    assert "can't be reached" in err
    assert ready.run("demo")[0] == 7


def test_kill_in_the_middle_is_resumed(tmp_path: Path) -> None:
    """SIGKILL of the bootstrap and its pip during the installation: the same command goes on and finishes."""
    checkout = make_checkout(tmp_path / "checkout")
    with checkout.start("demo") as child:
        deadline = time.monotonic() + 60
        while not (checkout.venv / "tray-agent-unfinished").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(child.pid, signal.SIGKILL)
    assert not (checkout.venv / "tray-agent-stamp.json").exists()
    code, out, err = checkout.run("demo")
    assert (code, out) == (7, "['demo']\n"), err


def test_cpu_build_missing_at_hand_is_looked_for_elsewhere(ready: Checkout) -> None:
    """Where the user's package sources have no CPU build, the next way (the CPU index) is tried."""
    cpu_wheel = next(ready.wheels.glob("torch-*cpu*"))
    hidden = cpu_wheel.rename(ready.root / cpu_wheel.name)
    site = next(ready.venv.glob("lib/python3*/site-packages"), None) or ready.venv / "Lib" / "site-packages"
    for part in [*site.glob("torch*")]:
        shutil.rmtree(part) if part.is_dir() else part.unlink()
    (ready.venv / "tray-agent-stamp.json").unlink()
    try:
        code, _, err = ready.run("demo")
    finally:
        hidden.rename(cpu_wheel)
    log = (ready.root / "build" / "install.log").read_text()
    assert code == 1
    assert "not to be had" in err
    assert log.count("\n$ ") >= 3
    assert log.count("torch==2.13.0+cpu --index-url") == 1
    assert ready.run("demo")[0] == 7


def test_foreign_folder_is_refused(tmp_path: Path) -> None:
    """--venv pointing at somebody's files changes nothing there."""
    checkout = make_checkout(tmp_path / "checkout")
    mine = tmp_path / "photos"
    mine.mkdir()
    (mine / "cat.png").write_bytes(b"cat")
    code, _, err = checkout.run("--venv", str(mine), "demo")
    assert code == 1
    assert "no Python environment" in err
    assert [p.name for p in mine.iterdir()] == ["cat.png"]


def test_damaged_stamp_counts_as_none(ready: Checkout) -> None:
    """A stamp that is no JSON leads to a check by pip, not to a crash."""
    (ready.venv / "tray-agent-stamp.json").write_text("{")
    code, _, err = ready.run("demo")
    assert code == 7, err
    assert list(json.loads((ready.venv / "tray-agent-stamp.json").read_text())) == ["base"]
