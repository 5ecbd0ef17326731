"""A machine without a network: the bot and its caller have only 127.0.0.1 to meet."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.lab
@pytest.mark.parametrize("by", ["aiortc", "browser"])
def test_a_call_without_any_network(by: str) -> None:
    script = f"ip link set lo up && exec {sys.executable} -m tests.serve.worker.lonely {by}"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--net", "sh", "-c", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("heard\n")
