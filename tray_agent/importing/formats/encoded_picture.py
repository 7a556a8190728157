"""PNG and JPEG in memory -> RGB (OpenCV; no I/O)."""

import cv2
import numpy as np

from tray_agent.core.media import Pixels
from tray_agent.errors import ImportFailed


def decoded(data: bytes) -> Pixels:
    """RGB, shape (height, width, 3).

    Raises:
        ImportFailed: it is no picture.
    """
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB) if data else None
    if found is None:
        raise ImportFailed(f"{len(data)} bytes that should be a PNG or JPEG are none")
    return np.asarray(found, np.uint8)
