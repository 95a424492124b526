"""Long text made short for a line on a screen, and never in the middle of a URL: half an address leads nowhere."""

from __future__ import annotations

import re

_URL = re.compile(r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,15}://[^\s'\"<>]{1,2000}", re.IGNORECASE)
"""A scheme and an address are bounded: what programs say may be long, and each letter could begin one."""
_MARK = "…"


def shortened(text: str, most: int) -> str:
    """The text, or so many characters of it, with `…` where it was cut; a URL that begins before stays whole."""
    if len(text) <= most:
        return text
    end = most - len(_MARK)
    end = next((found.end() for found in _URL.finditer(text, 0, end + 2100) if found.start() < end < found.end()), end)
    return text if end == len(text) else text[:end] + _MARK
