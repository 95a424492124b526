"""Runs in a container as `docker exec` starts programs: asks every kind of shell for tools and environment. JSON."""

import json
import subprocess
from pathlib import Path

SETTINGS = "NODE_IP SPARK_CONF_DIR HOME SPARKQFS_ROOT QFS_CLIENT_CONFIG SPARK_LOCAL_DIRS PYSPARK_PYTHON"
TOOLS = "sls storage qls hls qfs hdfs pyspark spark-submit python"
TOOL_LINES = f"for it in {TOOLS}; do command -v $it || echo no $it; done"
LINES = f"""\
for it in {SETTINGS}; do eval "value=\\${{$it-}}"; printf '%s=%s\\n' "$it" "$value"; done
{TOOL_LINES}
env >&2
"""
SHELLS = ("bash", "sh", "/bin/bash", "/bin/sh")
WORDS = [[shell, flags] for shell in SHELLS for flags in ("-c", "-lc", "-ic", "-lic")]
FED = [["bash"], ["bash", "-l"], ["sh"], ["sh", "-l"]]
"""With their lines on standard input."""
NO_FILE = ["/bin/sh", "-c"]
"""Reads no file and is not found by PATH: it has the tools, which bring the environment themselves."""


def ask(argv: list[str], text: str = "") -> tuple[str, str]:
    """Standard output and standard error."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout, done.stderr


def main() -> None:
    """What `with-env` has, what differs from it in which kind, where a secret shows, prompts, and what `sls /` says."""
    secrets = [path.read_text().strip() for path in Path("/run/secrets").glob("*")]
    wanted = ask(["/opt/sparkqfs/bin/with-env", "/bin/sh", "-c", LINES])[0]
    tools = ask(["/opt/sparkqfs/bin/with-env", "/bin/sh", "-c", TOOL_LINES])[0]
    differs, leaks, prompts = {}, [], {}
    for argv in WORDS + FED:
        lines = TOOL_LINES if argv == NO_FILE else LINES
        out, err = ask(argv, lines) if argv in FED else ask([*argv, lines])
        if out != (tools if argv == NO_FILE else wanted):
            differs[" ".join(argv)] = [out, err[-300:]]
        leaks += [argv for secret in secrets if secret and secret in out + err]
        if "i" in argv[-1] and argv not in FED:
            prompts[" ".join(argv)] = ask([*argv, 'printf %s "$PS1"'])[0]
    sls = ask(["bash", "-lc", "sls /"])
    print(json.dumps({"wanted": wanted, "differs": differs, "leaks": leaks, "prompts": prompts, "sls": sls}))


if __name__ == "__main__":
    main()
