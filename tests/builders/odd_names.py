"""Names that need care on QFS."""

from __future__ import annotations

import random
import zlib

from sparkqfs_runtime.stored_names import stored_name

ODD = "a~.0F %\0\t\n\r\x7f\x85\xa0\u00fc\u0301\u4e2d\u2028\ufffd\ud83d\ude00\U0001f600_="


def random_name(source: random.Random) -> str:
    """Of letters that matter, or of any; now and then the stored form of one, or nearly."""
    letters = ODD if source.random() < 0.7 else [chr(source.randrange(1, 0x110000)) for _ in range(8)]
    name = "".join(source.choice(letters) for _ in range(source.randint(1, 6))).replace("/", "")
    name = name.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")  # halves that meet are one letter
    for _ in range(source.choice((0, 0, 0, 1, 2))):
        name = stored_name(name)
    if source.random() < 0.1:
        name = f"{name}~{zlib.crc32(name.encode('utf-8', 'surrogatepass')):08x}"
    return name or "x"
