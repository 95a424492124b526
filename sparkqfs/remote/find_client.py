"""For a Python of the user's: its version, the client of Spark that it has, the client's version, `grpc` or `-`.

Nothing is imported for it: a client takes a second to load.
"""

import platform
import re
import sys
from pathlib import Path

NEEDED = ("grpc", "grpc_status", "google/rpc", "pandas", "pyarrow", "zstandard")
"""Folders of what Connect imports. Source: Spark 4.1, pyspark.sql.connect.utils."""
places = [Path(entry or ".") for entry in sys.path]
package = version = "-"
for place in places:
    source = place / "pyspark" / "version.py"
    if source.is_file():
        found = re.search(r"__version__[^=]*=\s*[\"']([^\"'\s]+)", source.read_text(encoding="utf-8", errors="replace"))
        is_client = any(place.glob("pyspark_client-*.dist-info"))
        package, version = "pyspark-client" if is_client else "pyspark", found[1] if found else "unknown"
        break
needed = all(any((place / name).is_dir() for place in places) for name in NEEDED)
print(platform.python_version(), package, version, "grpc" if needed else "-")
