"""The page in a real browser: its script runs, the film plays, and a session's names can do nothing."""

import os
import re
import shutil
import subprocess

import pytest
from page_scene import HEARD, write_session
from test_page import HOSTILE

from tray_agent.page.write import write_page

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.mark.slow
def test_page_runs_in_a_browser(tmp_path):
    """Opened from disk, the page shows the tick asked for, has its film ready, and no name got hold of it."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)}")
    out = tmp_path / "page.html"
    write_page(write_session(tmp_path / "s", spec=HEARD, game=HOSTILE, extra={"player": HOSTILE}), out)
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    command = [browser, "--headless=new", "--disable-gpu", *sandbox, f"--user-data-dir={tmp_path / 'profile'}"]
    command += ["--virtual-time-budget=5000", "--dump-dom", f"{out.as_uri()}#0.51"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    shown = re.sub(r"<script.*?</script>", "", done.stdout, flags=re.DOTALL)
    assert re.search(r'id="clock"[^>]*>0:00\.51 / 0:02 · tick 10<', shown)
    assert 'data-ready="yes"' in shown
    assert re.search(r'id="trouble"[^>]*hidden', shown)
    assert "<title>caught" not in shown
    assert "<img" not in shown
    assert shown.count('class="key') == 2
