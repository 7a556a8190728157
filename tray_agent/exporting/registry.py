"""All formats."""

from tray_agent.exporting.episode import Format
from tray_agent.exporting.formats import lerobot, mcap_file, minari, mp4

FORMATS: dict[str, Format] = {one.name: one for one in (lerobot.FORMAT, minari.FORMAT, mcap_file.FORMAT, mp4.FORMAT)}
