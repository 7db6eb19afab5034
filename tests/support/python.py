"""Python in a process of its own, whose code may import what the tests share."""

import subprocess
import sys
from pathlib import Path

_PATH = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[1])!r})\n"


def run_python(code: str, *arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run code in another process and return how it ended."""
    command = [sys.executable, "-c", _PATH + code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def loaded_by(code: str, *libraries: str) -> set[str]:
    """Return which of some libraries a fresh process has loaded after the code."""
    answer = run_python(f"{code}\nimport sys; print(*sys.modules)")
    assert answer.returncode == 0, answer.stderr
    return set(libraries) & set(answer.stdout.splitlines()[-1].split())
