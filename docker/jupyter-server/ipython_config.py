"""Every kernel: runtime/sparkqfs_runtime/kernel.py says what to do about files that are in Jupyter alone, and %pip."""

import sys

sys.path.append("/opt/sparkqfs")
c = get_config()  # type: ignore[name-defined]  # noqa: F821
c.InteractiveShellApp.extensions.append("sparkqfs_runtime.kernel")
