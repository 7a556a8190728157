"""What the bootstrap decides: interpreter, torch build, hints; and that the pins fit the project file."""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
INSTALLER = ROOT / "installer"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """bootstrap and setup_choices, imported the way the script imports them."""
    monkeypatch.syspath_prepend(str(INSTALLER))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    import bootstrap
    import setup_choices

    yield SimpleNamespace(bootstrap=bootstrap, choices=setup_choices)
    for name in ("bootstrap", "setup_choices"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", ["bootstrap.py", "setup_choices.py"])
def test_syntax_is_readable_by_python_3_8(name: str) -> None:
    """An old Python must get as far as the message."""
    ast.parse((INSTALLER / name).read_text(), feature_version=(3, 8))


def test_old_python_gets_a_clear_message(modules: Any) -> None:
    """Below 3.11 the message names the version found and what to do."""
    with pytest.raises(modules.choices.SetupError, match=r"needs Python 3\.11 or newer; this is 3\.8\.18 \(old\)"):
        modules.choices.check_python((3, 8, 18, "final", 0), "old")
    modules.choices.check_python((3, 11, 0, "final", 0), "new")


def test_a_real_old_python_says_so(modules: Any) -> None:
    """Started by a real old interpreter, the script ends with the message and exit code 1."""
    found = [
        p
        for v in (8, 9, 10)
        for p in (f"/usr/bin/python3.{v}", *map(str, Path.home().glob(f".pyenv/versions/3.{v}.*/bin/python")))
    ]
    old = next((p for p in found if modules.choices.runs(p)), None)
    if old is None:
        pytest.skip("no Python 3.8 to 3.10 on this machine")
    done = subprocess.run([old, str(INSTALLER / "bootstrap.py"), "demo"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "needs Python 3.11 or newer" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_cuda_without_an_nvidia_gpu(modules: Any) -> None:
    """On Linux without NVIDIA every way asks for the CPU build."""
    ways = modules.choices.torch_choices("linux", None, "torch==2.13.0")
    assert ways
    assert all("torch==2.13.0+cpu" in arguments for _, arguments in ways)
    assert "--index-url" not in ways[0][1]
    assert modules.choices.CPU_INDEX in ways[-1][1]


def test_nvidia_builds(modules: Any) -> None:
    """With NVIDIA: PyPI's build on Linux; on Windows the builds the driver can run, then the CPU build."""
    choices = modules.choices.torch_choices
    assert [a for _, a in choices("linux", 128, "torch==2.13.0")] == [["torch==2.13.0"]]
    windows = [a for _, a in choices("windows", 124, "torch==2.13.0")]
    assert not any("cu130" in part for way in windows for part in way)
    assert any("cu126" in part for way in windows for part in way)
    assert windows[-1] == ["torch==2.13.0"]
    assert [a for _, a in choices("windows", None, "torch==2.13.0")] == [["torch==2.13.0"]]
    assert [a for _, a in choices("macos", None, "torch==2.13.0")] == [["torch==2.13.0"]]


def test_missing_venv_module_names_the_package(modules: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian's Python without ensurepip: the exact command is in the message."""
    monkeypatch.setattr(modules.choices, "package_hint", lambda what: modules.choices.HINTS["debian"][what])
    with pytest.raises(modules.choices.SetupError, match=r"run: sudo apt-get install python3-venv$"):
        modules.choices.require_venv({"executable": "/usr/bin/python3", "venv": False})


def test_full_disk_is_refused_before_anything_is_made(
    modules: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Too little space is an error with both numbers, and the folder is not made."""
    monkeypatch.setattr(modules.bootstrap.shutil, "disk_usage", lambda _: SimpleNamespace(free=50 * 10**6))
    facts = {"version": [3, 11, 2], "executable": "python3"}
    with pytest.raises(modules.choices.SetupError, match=r"50 MB free, \d{4} MB are needed"):
        modules.bootstrap.announce(tmp_path / "venv", "base", facts, None)
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("<pip...> Failed to establish a new connection: NewConnectionError", "can't be reached"),
        ("error: command '/usr/bin/gcc' failed with exit code 1", "must be compiled"),
        ("something new", "pip gave up"),
    ],
)
def test_reasons_of_failures(modules: Any, output: str, words: str) -> None:
    """pip's output is turned into one reason, with its last lines kept."""
    text = str(modules.bootstrap.explain_failure("packages", output))
    assert words in text
    assert output in text


def test_every_dependency_is_pinned_and_portable(modules: Any) -> None:
    """Each package the project asks for has one pin, without local versions or paths."""
    lines = [x for x in (INSTALLER / "constraints.txt").read_text().splitlines() if x and not x.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line) for line in lines)
    pins = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in lines}
    assert len(pins) == len(lines)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    names = {re.sub(r"[-_.]+", "-", re.split(r"[\s\[<>=!;]", line)[0]).lower() for line in asked}
    assert names <= pins


@pytest.mark.parametrize("name", ["tflite.txt", "formats.txt"])
def test_lists_beside_change_no_pin(name: str) -> None:
    """What is installed without its dependencies has one version, and replaces nothing that is pinned."""
    lists = [(INSTALLER / one).read_text().splitlines() for one in (name, "constraints.txt")]
    beside, ours = ([x for x in lines if x and not x.startswith("#")] for lines in lists)
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][0-9A-Za-z.]*", line) for line in beside)
    named = [
        {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower(): line.partition("==")[2] for line in lines}
        for lines in (beside, ours)
    ]
    assert {name: version for name, version in named[0].items() if named[1].get(name, version) != version} == {}
