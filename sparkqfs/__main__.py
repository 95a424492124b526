"""`python -m sparkqfs` is the program `sparkqfs`, also where its directory is not in PATH."""

from __future__ import annotations

import sys

from sparkqfs.program import main

if __name__ == "__main__":
    sys.argv[0] = "sparkqfs"  # help and messages go by this name
    main()
