#!/usr/bin/env python3
"""Sets Tray Agent up in its own environment and runs it (standard library only; one thread).

    python3 installer/bootstrap.py demo | run | doctor | test | shell   [arguments passed on]

Owns the environment folder (`.venv` unless --venv says otherwise) and `build/install.log`; touches nothing else and
needs no root. The second start finds its stamp and goes straight on. Kept readable by Python 3.8, so that an old
interpreter gets a message instead of a syntax error.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

sys.dont_write_bytecode = True  # leaves no cache folder beside this file

from setup_choices import (  # noqa: E402  # the line above has to come first
    CONSTRAINTS,
    LINUX,
    ROOT,
    TEST_EXTRAS,
    WINDOWS,
    SetupError,
    check_python,
    choose_python,
    cuda_of_driver,
    dependency_names,
    has_gi,
    library_folders,
    package_hint,
    pinned,
    say,
    torch_choices,
)

BUILD = ROOT / "build"
LOG = BUILD / "install.log"
STAMP = "tray-agent-stamp.json"
UNFINISHED = "tray-agent-unfinished"
EXTRAS = {"base": "", "test": f"[{','.join(TEST_EXTRAS)}]"}
SIZES_MB = {"base": 1700, "test": 2300, "cuda": 5000}
"""Measured on Debian 12 with the CPU build; "cuda" is about what an NVIDIA build adds."""


def fingerprint(level: str, home: str) -> str:
    """Changes when anything that decides the environment's contents does; reads four small files, starts nothing."""
    files = [ROOT / "pyproject.toml", CONSTRAINTS, Path(__file__), Path(__file__).with_name("setup_choices.py")]
    parts = [level, home, str(ROOT), str(has_gi())]
    return hashlib.sha256(b"\0".join([*(f.read_bytes() for f in files), *(p.encode() for p in parts)])).hexdigest()


def venv_python(venv: Path) -> Path:
    return venv / "Scripts" / "python.exe" if WINDOWS else venv / "bin" / "python"


def venv_config(venv: Path) -> dict[str, str]:
    """Contents of pyvenv.cfg, empty when there is none."""
    try:
        lines = (venv / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {key.strip(): value.strip() for key, _, value in (line.partition("=") for line in lines)}


def is_ready(venv: Path, level: str) -> bool:
    """Whether the stamp says that all of `level` is installed and nothing it depends on has changed."""
    try:
        stamp = json.loads((venv / STAMP).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    home = venv_config(venv).get("home", "")
    good = [name for name in EXTRAS if stamp.get(name) == fingerprint(name, home)]
    return venv_python(venv).exists() and (level in good or "test" in good)


def write_stamp(venv: Path, level: str) -> None:
    """Say that `level` is complete ("test" holds "base" as well); whole or not at all."""
    home = venv_config(venv).get("home", "")
    temporary = venv / (STAMP + ".tmp")
    temporary.write_text(json.dumps({level: fingerprint(level, home)}), encoding="utf-8")
    temporary.replace(venv / STAMP)


def pip_environment() -> dict[str, str]:
    """The user's environment less what would put packages elsewhere, or start a driver's installer (vgamepad)."""
    drop = {"PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_CONSTRAINT", "__PYVENV_LAUNCHER__"}
    kept = {key: value for key, value in os.environ.items() if key not in drop}
    mine = {"PIP_USER": "0", "PIP_NO_INPUT": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1"}
    return {**kept, **mine, "VGAMEPAD_SKIP_VIGEMBUS_INSTALL": "true", "PYTHONUNBUFFERED": "1"}


def run_logged(arguments: list[str]) -> int:
    """Run a command with its output in the log; a terminal sees the seconds go by."""
    with LOG.open("ab") as log:
        log.write(("\n$ " + " ".join(arguments) + "\n").encode())
        log.flush()
        child = subprocess.Popen(arguments, stdout=log, stderr=subprocess.STDOUT, env=pip_environment(), cwd=ROOT)
        try:
            return child.wait()
        except BaseException:
            child.kill()
            child.wait()
            raise


@contextlib.contextmanager
def step(text: str) -> Iterator[None]:
    """One line of progress: what, and how many seconds it took."""
    print(f"  {text} ...", end="", file=sys.stderr, flush=True)
    started = time.monotonic()
    try:
        yield
    except BaseException:
        say(f" failed after {time.monotonic() - started:.1f} s")
        raise
    say(f" {time.monotonic() - started:.1f} s")


NOT_FOUND = r"No matching distribution|ResolutionImpossible"
REASONS = (
    (r"No space left on device|There is not enough space", "the disk is full", "free some space (see the sizes above)"),
    (
        r"NewConnectionError|ConnectTimeout|Temporary failure in name resolution|getaddrinfo failed"
        r"|Max retries exceeded|Network is unreachable|ReadTimeout|ProxyError",
        "the package index can't be reached",
        "check the network connection or proxy",
    ),
    (r"CERTIFICATE_VERIFY_FAILED", "a certificate was not accepted", "check the clock, or set PIP_CERT"),
    (r"Permission denied", "a folder can't be written", "check who owns the checkout; no root is needed"),
    (NOT_FOUND, "a package is not to be had for this Python", "use Python 3.11 to 3.13, 64 bit"),
    (r"error: command .*(gcc|cl\.exe)|Microsoft Visual C\+\+", "a package must be compiled", "use Python 3.11 to 3.13"),
)


def log_since(offset: int) -> str:
    with LOG.open("rb") as log:
        log.seek(offset)
        return log.read().decode("utf-8", "replace")


def explain_failure(what: str, output: str) -> SetupError:
    """What went wrong in pip's words and ours; nothing installed so far is lost."""
    found = next((r for r in REASONS if re.search(r[0], output)), None)
    reason = f"{found[1]}; {found[2]}" if found else "pip gave up"
    tail = "\n".join("    " + line for line in output.strip().splitlines()[-12:])
    return SetupError(
        f"{what}: {reason}. Then run the same command again, what is done stays done.\n  last lines of {LOG}:\n{tail}"
    )


def pip_install(venv: Path, what: str, ways: list[list[str]]) -> None:
    """Try each way until one works; the next way is tried only where a package was not to be had.

    Raises:
        SetupError: none did.
    """
    offset = LOG.stat().st_size
    for number, way in enumerate(ways):
        if run_logged([str(venv_python(venv)), "-m", "pip", "install", *way]) == 0:
            return
        last = number == len(ways) - 1
        if last or not re.search(NOT_FOUND, log_since(offset)):
            raise explain_failure(what, log_since(offset))


def make_venv(venv: Path, facts: dict[str, Any]) -> None:
    """An environment of the chosen interpreter; one of another interpreter, or a broken one, is made anew.

    Raises:
        SetupError: the folder holds something that is no environment, or it can't be made.
    """
    config = venv_config(venv)
    if venv.exists() and not config and any(venv.iterdir()):
        raise SetupError(f"{venv} holds files but is no Python environment; give another folder with --venv")
    version = ".".join(map(str, facts["version"]))
    same = config.get("version") == version and config.get("home") == str(Path(facts["executable"]).parent)
    same = same and config.get("include-system-site-packages") == str(facts["system_site"]).lower()
    if same and run_logged([str(venv_python(venv)), "-m", "pip", "--version"]) == 0:
        return
    options = ["--clear", *(["--system-site-packages"] if facts["system_site"] else [])]
    with step(f"environment {venv} (Python {version})"):
        if run_logged([facts["executable"], "-m", "venv", *options, str(venv)]) != 0:
            raise explain_failure("could not make the environment", log_since(0))


def drop_half_installed(venv: Path) -> None:
    """After an interruption, forget packages whose installation did not reach its last act, so that pip redoes them."""
    for info in venv.glob("**/site-packages/*.dist-info"):
        record = info / "RECORD"
        if not record.exists() or "INSTALLER" not in record.read_text(encoding="utf-8", errors="replace"):
            shutil.rmtree(info, ignore_errors=True)


def announce(venv: Path, level: str, facts: dict[str, Any], cuda: int | None) -> None:
    """Tell what comes before it comes, and refuse when the disk can't hold it."""
    size = SIZES_MB[level] + (SIZES_MB["cuda"] if cuda else 0)
    say(f"Tray Agent will install into {venv} (about {size} MB on disk; nothing outside of it but pip's cache):")
    say(f"  Python  {'.'.join(map(str, facts['version']))} from {facts['executable']}")
    say(f"  torch   {'NVIDIA build' if cuda else 'CPU build'}")
    say(f"  others  {', '.join(dependency_names(level))}")
    free = shutil.disk_usage(next(p for p in (venv, *venv.parents) if p.exists())).free // 10**6
    done = sum(f.stat().st_size for f in venv.glob("**/*") if f.is_file() and not f.is_symlink()) // 10**6
    if free + done < size:
        raise SetupError(f"{venv.parent} has {free} MB free, {size - done} MB are needed; free space or use --venv")
    if LINUX and not any(Path(d).glob("libportaudio.so*") for d in library_folders()):
        say("note: without PortAudio there is no sound recording (optional): " + package_hint("sound"))


def install(venv: Path, level: str) -> None:
    """Bring the environment to `level`.

    Raises:
        SetupError: with the remedy.
    """
    facts = choose_python()
    cuda = cuda_of_driver()
    announce(venv, level, facts, cuda)
    make_venv(venv, facts)
    if (venv / UNFINISHED).exists():
        drop_half_installed(venv)
    (venv / UNFINISHED).touch()
    system = "windows" if WINDOWS else "linux" if LINUX else "macos"
    ways = torch_choices(system, cuda, pinned("torch"))
    with step(ways[0][0]):
        pip_install(venv, "torch", [["--no-deps", *way] for _, way in ways])
    with step(f"Tray Agent and the rest ({level})"):
        pip_install(venv, "packages", [["-c", str(CONSTRAINTS), "-e", str(ROOT) + EXTRAS[level]]])
        if level == "test":
            # it asks for an older gymnasium than ours, and works with ours
            pip_install(venv, "imitation", [["--no-deps", pinned("imitation")]])
    write_stamp(venv, level)
    (venv / UNFINISHED).unlink()


@contextlib.contextmanager
def only_one() -> Iterator[None]:
    """Keep two bootstraps from installing at once; the second waits."""
    try:
        BUILD.mkdir(exist_ok=True)
        handle = (BUILD / "install.lock").open("a")
    except OSError as error:
        raise SetupError(f"{BUILD} can't be written ({error}); unpack Tray Agent into a folder of your own") from error
    with handle:
        if WINDOWS:
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


# --- running it --------------------------------------------------------------------------------------------------


def command_line(verb: str, venv: Path, rest: list[str]) -> list[str]:
    python = str(venv_python(venv))
    if verb == "test":
        return [python, "-m", "pytest", *(rest or ["-q"])]
    if verb == "shell":
        return rest or [os.environ.get("COMSPEC", "cmd.exe") if WINDOWS else os.environ.get("SHELL", "/bin/sh")]
    return [python, "-m", "tray_agent", verb, *rest]


def hand_over(arguments: list[str], venv: Path) -> NoReturn:
    """Become the command, or on Windows wait for it; its exit code is ours."""
    folder = venv_python(venv).parent
    environment = dict(os.environ, VIRTUAL_ENV=str(venv), PYTHONNOUSERSITE="1")
    environment["PATH"] = str(folder) + os.pathsep + os.environ.get("PATH", "")
    environment.pop("PYTHONHOME", None)
    found = shutil.which(arguments[0], path=environment["PATH"])
    if found is None:
        raise SetupError(f"no program {arguments[0]} in the environment or on the PATH")
    if arguments[1:3] == ["-m", "pytest"]:
        os.chdir(ROOT)
    if WINDOWS:
        sys.exit(subprocess.call([found, *arguments[1:]], env=environment))
    os.execve(found, arguments, environment)  # noqa: S606  # no shell is wanted


def parse(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bootstrap.py", description="Set Tray Agent up and run it.")
    parser.add_argument("--venv", type=Path, default=ROOT / ".venv", help="environment folder (default: .venv)")
    parser.add_argument(
        "verb",
        choices=("demo", "run", "doctor", "test", "shell"),
        help="demo: two-minute demonstration; run: the resident program; doctor: what works on this machine; "
        "test: the tests; shell: a shell, or a command, inside the environment",
    )
    parser.add_argument("rest", nargs=argparse.REMAINDER, help="passed on")
    return parser.parse_args(argv)


def main(argv: list[str]) -> int:
    """Install what is missing, then become the command."""
    try:
        check_python(tuple(sys.version_info), sys.executable)
        options = parse(argv)
        venv = options.venv.expanduser().absolute()
        level = "test" if options.verb in ("test", "shell") else "base"
        if not is_ready(venv, level):
            with only_one():
                if not is_ready(venv, level):
                    LOG.write_bytes(b"")
                    install(venv, level)
        hand_over(command_line(options.verb, venv, options.rest), venv)
    except SetupError as error:
        say(f"bootstrap: {error}")
        return 1
    except OSError as error:
        say(f"bootstrap: {error}; what is done stays done, run the same command again")
        return 1
    except KeyboardInterrupt:
        say("\nbootstrap: interrupted; run the same command again to go on")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
