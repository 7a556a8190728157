"""What the bootstrap decides, and from which facts (standard library only; readable by Python 3.8).

Owns nothing and changes nothing: which interpreter, which torch build, which packages, which hints.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "installer" / "constraints.txt"
OLDEST = (3, 11)
TEST_EXTRAS = ("test", "games", "evaluate", "export", "import", "remote")
"""Of pyproject.toml's extras, what the tests need."""
SYSTEM_PYTHON = Path("/usr/bin/python3")
CPU_INDEX = "https://download.pytorch.org/whl/cpu"
CUDA_INDEX = "https://download.pytorch.org/whl/cu{}"
CUDA_BUILDS = (130, 129, 128, 126)
WINDOWS = os.name == "nt"
LINUX = sys.platform.startswith("linux")


class SetupError(Exception):
    """Something the user has to know; the text says what, where, and what to do."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def check_python(version: tuple[int, ...], executable: str) -> None:
    """Raise SetupError for an interpreter that is too old."""
    if tuple(version[:2]) >= OLDEST:
        return
    newer = [name for name in ("python3.14", "python3.13", "python3.12", "python3.11") if runs(name)]
    hint = "install Python 3.11 or newer from your package manager or python.org"
    if newer:
        hint = f"there is a newer one, start it with that: {newer[0]} installer/bootstrap.py"
    raise SetupError(
        f"Tray Agent needs Python 3.11 or newer; this is {'.'.join(map(str, version[:3]))} ({executable}); {hint}"
    )


def runs(name: str) -> bool:
    """Whether `name` starts (a version manager's shim may be on the path without a Python behind it)."""
    with contextlib.suppress(OSError):
        return subprocess.run([name, "-c", ""], capture_output=True, check=False).returncode == 0
    return False


PROBE = """
import importlib.util as u, json, sys
def gtk():
    try:
        import gi
        from gi.repository import GIRepository
        return bool(GIRepository.Repository.get_default().enumerate_versions("Gtk"))
    except Exception:
        return False
print(json.dumps({"version": sys.version_info[:3], "executable": sys.executable,
    "venv": bool(u.find_spec("venv") and u.find_spec("ensurepip")), "gtk": gtk()}))
"""


def probe(python: str) -> dict[str, Any] | None:
    """Facts about an interpreter, None when it does not start."""
    try:
        done = subprocess.run([python, "-c", PROBE], capture_output=True, text=True, check=False, timeout=60)
        return dict(json.loads(done.stdout)) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None


def choose_python() -> dict[str, Any]:
    """The interpreter to build from: the system's where that brings a tray menu, else the running one."""
    if LINUX:
        system = probe(str(SYSTEM_PYTHON))
        if system and tuple(system["version"]) >= OLDEST and system["gtk"]:
            return require_venv(dict(system, system_site=True))
        say("note: the tray icon will have no menu here (left click only). For a menu: " + package_hint("menu"))
    # inside an environment (it may be the very one to be made anew) the interpreter behind it is meant
    running = getattr(sys, "_base_executable", "") or sys.executable
    own = probe(running)
    if own is None:
        raise SetupError(f"{running} does not start a child of itself; reinstall Python")
    return require_venv(dict(own, system_site=False))


def require_venv(facts: dict[str, Any]) -> dict[str, Any]:
    if not facts["venv"]:
        raise SetupError(f"{facts['executable']} can't make environments; run: " + package_hint("venv"))
    return facts


HINTS = {
    "debian": {
        "menu": "sudo apt-get install python3-gi gir1.2-ayatanaappindicator3-0.1 python3-venv",
        "venv": "sudo apt-get install python3-venv",
        "sound": "sudo apt-get install libportaudio2 libasound2-plugins",
    },
    "fedora": {
        "menu": "sudo dnf install python3-gobject libayatana-appindicator-gtk3",
        "venv": "sudo dnf install python3",
        "sound": "sudo dnf install portaudio alsa-plugins-pulseaudio",
    },
    "arch": {
        "menu": "sudo pacman -S python-gobject libayatana-appindicator",
        "venv": "sudo pacman -S python",
        "sound": "sudo pacman -S portaudio alsa-plugins",
    },
}


def package_hint(what: str) -> str:
    """The command that installs a system piece on this distribution."""
    release = ""
    with contextlib.suppress(OSError):
        release = Path("/etc/os-release").read_text(encoding="utf-8")
    like = " ".join(re.findall(r'^ID(?:_LIKE)?="?([^"\n]+)', release, re.MULTILINE))
    family = next((name for name in HINTS if name in like), "debian")
    return HINTS[family][what]


def pinned(name: str) -> str:
    """`name==version` from the constraints."""
    found = re.search(rf"^{re.escape(name)}==\S+", CONSTRAINTS.read_text(encoding="utf-8"), re.MULTILINE)
    if not found:
        raise SetupError(f"{CONSTRAINTS} has no line for {name}; get a fresh copy of the checkout")
    return found.group()


def cuda_of_driver() -> int | None:
    """CUDA version the NVIDIA driver speaks, times ten (12.8 -> 128); None without a working NVIDIA GPU."""
    try:
        done = subprocess.run(["nvidia-smi"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"CUDA[^:]*Version:\s*(\d+)\.(\d+)", done.stdout)
    return int(found.group(1)) * 10 + int(found.group(2)) if found and done.returncode == 0 else None


def torch_choices(system: str, cuda: int | None, torch: str) -> list[tuple[str, list[str]]]:
    """Ways to get torch, best first: (what to tell, pip arguments). Never CUDA gigabytes without an NVIDIA GPU.

    PyPI's build is CUDA on Linux and CPU on Windows and macOS, so each system needs another first question.
    `+cpu` is asked of the user's own package sources first: a mirror or a folder of wheels may have it.
    """
    cpu = [
        ("torch, CPU build", [torch + "+cpu"]),
        ("torch, CPU build from pytorch.org", [torch + "+cpu", "--index-url", CPU_INDEX]),
    ]
    if system == "linux":
        return [("torch, NVIDIA build (large)", [torch])] if cuda else cpu
    plain = [("torch", [torch])]
    if system == "windows" and cuda:
        fitting = [build for build in CUDA_BUILDS if build // 10 <= cuda // 10]
        wheels = [(f"torch, CUDA {b / 10} build", [torch, "--index-url", CUDA_INDEX.format(b)]) for b in fitting]
        return wheels + plain
    return plain


def dependency_names(level: str) -> list[str]:
    """Names pyproject.toml asks for, for telling the user."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project.get("dependencies", []))
    for extra in TEST_EXTRAS if level == "test" else ():
        lines += project.get("optional-dependencies", {}).get(extra, [])
    other = {"sys_platform == 'win32'": WINDOWS, "sys_platform == 'linux'": LINUX}
    wanted = [line for line in lines if all(fits for marker, fits in other.items() if marker in line)]
    wanted = [line for line in wanted if "== 'darwin'" not in line or sys.platform == "darwin"]
    return sorted({re.split(r"[\s\[<>=!;]", line, maxsplit=1)[0] for line in wanted})


def has_gi() -> bool:
    """Whether the system's Python brings GTK's bindings, by a look at the disk only."""
    return any(list(Path(folder).glob("python3*/*-packages/gi")) for folder in ("/usr/lib", "/usr/lib64"))


def library_folders() -> list[str]:
    return ["/usr/lib", "/usr/lib64", "/usr/local/lib", *(str(p) for p in Path("/usr/lib").glob("*-linux-gnu"))]
