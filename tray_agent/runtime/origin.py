"""Where results come from: the code's commit, the machine. Runs on the caller's thread."""

import platform
import subprocess
from pathlib import Path

import psutil

import tray_agent


def commit() -> str:
    """Short hash of the checkout this code lies in, "+" behind it when files differ from it; "" without git."""
    folder = Path(tray_agent.__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        short = git("rev-parse", "--short=10", "HEAD")
        return short + ("+" if short and git("status", "--porcelain", "--", ".") else "")
    except OSError:
        return ""


def machine() -> str:
    """Processor, cores and system, for the table's caption."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    return f"{name}, {psutil.cpu_count()} cores, {platform.system()}"
