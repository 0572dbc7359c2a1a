"""The command in this process: what it says and its status, without loading everything again."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from medcolor.cli import main


def medcolor(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command as `medcolor ARGUMENTS` would be; an error that is not ours is raised."""
    words, out, problems = ["medcolor", *map(str, arguments)], io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(problems), mock.patch.object(sys, "argv", words):
        try:
            main()
            status = 0
        except SystemExit as end:
            status = int(end.code or 0)
    return subprocess.CompletedProcess(words, status, out.getvalue(), problems.getvalue())
