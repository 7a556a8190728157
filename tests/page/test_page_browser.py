"""The page in a real browser: the film shows the tick it should, hands do what they should, names do nothing."""

import shutil

import numpy as np
import pytest
from browser import Browser
from page_scene import HEARD, action, colour, write_session
from test_page import HOSTILE

from tray_agent.page.write import write_page

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
_SEEN = """(() => { const c = document.createElement("canvas"); c.width = c.height = 1; const pen = c.getContext("2d");
  pen.drawImage(video, 0, 0, 1, 1); return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3); })()"""


@pytest.fixture
def browser(tmp_path):
    """A browser, or a skip where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no browser here: none of {', '.join(PROGRAMS)}")
    with Browser(program, tmp_path / "profile") as found:
        yield found


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_page_in_a_browser(browser, tmp_path):
    """Ticks and pictures belong together; click, drag, wheel, keys and play work; nothing complains."""
    out = tmp_path / "page.html"
    folder = write_session(tmp_path / "s", spec=HEARD, game=HOSTILE, extra={"player": HOSTILE, HOSTILE: 1})
    write_page(folder, out)
    browser.open(f"{out.as_uri()}#0.51")
    browser.until('document.readyState === "complete" && filmWorks && !video.seeking && video.readyState >= 2')
    assert browser.ask("tickAt(now)") == 10
    assert browser.ask('document.title.startsWith("</script>") && document.images.length === 0')
    assert browser.ask('$("trouble").hidden')
    for tick in (0, 39, 17, 18):
        browser.ask(f"step({tick} - tickAt(now))")
        browser.until("!video.seeking && video.readyState >= 2")
        assert np.abs(np.array(browser.ask(_SEEN)) - colour(tick)).max() < 16, tick
        browser.until(f'$("clock").textContent.endsWith("tick {tick}")')
        held = browser.ask('[...document.querySelectorAll(".key")].map((k) => k.classList.contains("held"))')
        assert held == (action(tick)[:2] > 0).tolist()
    _hands(browser)
    browser.ask("seek(0)")
    browser.key(" ")
    browser.until("playing && now > 0.3")
    browser.key(" ")
    assert browser.ask("!playing && video.paused && Math.abs(video.currentTime - now) < 0.1")
    assert browser.complaints == []


def _hands(browser):
    browser.key("ArrowRight")
    assert browser.ask("tickAt(now)") == 19
    browser.key("ArrowLeft")
    assert browser.ask("tickAt(now)") == 18
    browser.ask("tracks.scrollIntoView()")
    left, top, width = browser.ask("(({x, y, width}) => [x, y, width])(tracks.getBoundingClientRect())")
    gutter = browser.ask("GUTTER")
    place = left + gutter + 0.25 * (width - gutter), top + 40
    browser.mouse("mousePressed", *place, button="left", clickCount=1)
    assert browser.ask("now") == pytest.approx(0.5, abs=0.01)
    browser.mouse("mouseMoved", left + gutter + 0.75 * (width - gutter), top + 40, button="left", buttons=1)
    assert browser.ask("now") == pytest.approx(1.5, abs=0.01)
    browser.mouse("mouseReleased", *place, button="left", clickCount=1)
    browser.mouse("mouseWheel", *place, deltaX=0, deltaY=-100)
    browser.until("view[1] - view[0] < 1.7")
    assert browser.ask("view[0]") == pytest.approx(0.1, abs=0.01)  # around the pointer
    browser.key("0")
    assert browser.ask("view") == [0, 2]
