"""Short time slices: on a kernel that has them, and on all others."""

import os
import platform
import subprocess
import sys
import threading

import pytest

from tray_agent.runtime import short_slices

KERNEL = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2] if part.isdigit())
HAS_SLICES = sys.platform == "linux" and KERNEL >= (6, 12) and platform.machine() in ("x86_64", "aarch64")


def in_a_thread(results: list[object]) -> None:
    results.append(short_slices.prefer_short_slices())
    results.append(short_slices.slice_ns())
    code = "from tray_agent.runtime import short_slices; print(short_slices.slice_ns())"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    results.append(int(child.stdout))


@pytest.mark.skipif(not HAS_SLICES, reason="this kernel lets no thread choose its slice (Linux 6.12 and later do)")
def test_only_the_asking_thread_gets_short_slices():
    """The thread that asks has them; other threads and its children keep theirs."""
    before = short_slices.slice_ns()
    assert before > short_slices.SLICE_NS
    results: list[object] = []
    thread = threading.Thread(target=in_a_thread, args=(results,))
    thread.start()
    thread.join()
    assert results == [True, short_slices.SLICE_NS, before]
    assert short_slices.slice_ns() == before


@pytest.mark.skipif(not HAS_SLICES, reason="this kernel lets no thread choose its slice (Linux 6.12 and later do)")
def test_no_right_is_needed():
    """An ordinary user, who may not raise priorities, gets them too."""
    if os.getuid() != 0:
        pytest.skip("runs as an ordinary user already: the other test shows it")
    code = (
        "import os; from tray_agent.runtime import short_slices; os.setuid(65534);"
        "raise SystemExit(0 if short_slices.prefer_short_slices() else 1)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(("system", "processor"), [("win32", "AMD64"), ("darwin", "arm64"), ("linux", "mips")])
def test_elsewhere_nothing_happens(system: str, processor: str, monkeypatch: pytest.MonkeyPatch):
    """Systems without it are told so by False, not by an error."""
    monkeypatch.setattr(short_slices.sys, "platform", system)
    monkeypatch.setattr(short_slices.platform, "machine", lambda: processor)
    assert short_slices.prefer_short_slices() is False
    assert short_slices.slice_ns() == 0
