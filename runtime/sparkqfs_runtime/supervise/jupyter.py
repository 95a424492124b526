"""Jupyter Lab, whose kernels are Spark drivers."""

from __future__ import annotations

from pathlib import Path

from sparkqfs import topology
from sparkqfs_runtime.supervise.driver import DRIVER_LOG, app_ui_port, prepare_driver
from sparkqfs_runtime.supervise.notebooks import copy_notebooks
from sparkqfs_runtime.supervise.processes import Daemon
from sparkqfs_runtime.supervise.setup import (
    EX_CONFIG,
    PROGRAMS,
    TOP,
    Setup,
    die,
    make_writable,
    python,
    ui_port,
    write_private,
)
from sparkqfs_runtime.supervise.spark import master_page

JUPYTER_CONFIG = """\
import sys
from pathlib import Path

sys.path.append({top!r})

c = get_config()  # noqa: F821
c.IdentityProvider.token = Path({token!r}).read_text(encoding="utf-8").strip()
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.port = {port}
c.ServerApp.port_retries = 0
c.ServerApp.open_browser = False
c.ServerApp.root_dir = {root!r}
c.ServerApp.allow_remote_access = True
c.ServerApp.terminado_settings = {{"shell_command": ["/bin/bash"]}}
c.ServerApp.jpserver_extensions = {{"sparkqfs_runtime.pages.in_jupyter": True}}
c.ServerApp.tornado_settings = {{"sparkqfs_master": ({master[0]!r}, {master[1]})}}
c.ExtensionApp.open_browser = False
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"
"""


def jupyter_server(setup: Setup) -> list[Daemon]:
    """Jupyter Lab, whose kernels are Spark drivers under this container's address, and a page of all applications."""
    token = setup.secrets / "jupyter-token"
    if setup.secret("jupyter-token") is None:
        die(EX_CONFIG, f"the secret {token} is missing or empty: no notebook server without a token")
    make_writable(setup.notebooks)
    copy_notebooks(TOP / "notebooks", setup.notebooks)
    prepare_driver(setup, DRIVER_LOG)
    private = setup.run / "jupyter"
    (private / "runtime").mkdir(mode=0o700, parents=True, exist_ok=True)
    home = Path(setup.environ["HOME"])
    setup.environ |= {
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "JUPYTER_DATA_DIR": str(home / ".local/share/jupyter"),
        "JUPYTER_RUNTIME_DIR": str(private / "runtime"),
        "IPYTHONDIR": str(home / ".ipython"),
        "MPLCONFIGDIR": str(home / ".matplotlib"),
    }
    config = private / "jupyter_server_config.py"
    port = ui_port(setup, topology.JUPYTER_PORT)
    master = master_page(setup)
    known = {"token": str(token), "root": str(setup.notebooks), "port": port, "top": str(TOP), "master": master}
    write_private(config, JUPYTER_CONFIG.format(**known))
    program = setup.get("SPARKQFS_JUPYTER", "/opt/venv/bin/jupyter")
    page = str(PROGRAMS / "app_page.py")
    return [
        Daemon("Jupyter", (program, "lab", f"--config={config}")),
        Daemon("applications' page", (python(), "-u", page, app_ui_port(setup), *master)),
    ]
