"""Several command lines in one process, as text of a program: a start costs more than what is tested."""

from __future__ import annotations

RUN_EACH = """\
for sys.argv in json.loads(sys.argv[1]):
    code, out, err = 0, io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            if sys.argv[0] == "sparkqfs":
                from sparkqfs.program import main
                main()
            else:
                from invoke.program import Program
                Program(binary="inv[oke]").run()
        except SystemExit as end:
            code = int(end.code or 0)
    ends.append([code, out.getvalue(), err.getvalue()])
"""
"""Fills `ends` with (exit code, standard output, standard error) of the JSON list of lists in the first argument."""
