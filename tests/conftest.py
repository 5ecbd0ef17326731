import os
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

# What of the lab may run beside each other, the longest first. Within a group tests take turns: they share what they
# have made, and measure.
GROUPS = {
    "patience": ("serve/test_patience",),
    "quiet": (),
    "compare": ("lab/test_compare", "comparing/"),
    "hosts": ("lab/test_hosts", "lab/test_vm.py", "lab/test_vm_contract", "lab/test_vm_faults"),
    "ups": ("lab/test_up", "lab/test_switch", "lab/test_demo"),
    "killed": ("lab/test_fly_killed", "lab/test_pipecat_cloud"),
    "more-hosts": ("lab/test_vm",),
    "images": ("lab/test_image", "lab/test_fly_image", "lab/test_fly_dockerfile"),
    "platforms": ("lab/test_fly",),
    "networks": ("lab/test_nat", "lab/test_turn"),
    "machine": ("",),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    order = list(GROUPS)
    items.sort(key=lambda item: order.index(group(item)))


def group(item: pytest.Item) -> str:
    if item.get_closest_marker("quiet"):
        return "patience" if "test_patience" in item.nodeid else "quiet"
    path = item.nodeid.removeprefix("tests/")
    return next(name for name, begins in GROUPS.items() if path.startswith(begins))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A state folder of the test's own, so that no test sees what really runs on this machine."""
    folder = tmp_path / "state"
    folder.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    runtime = tmp_path / "runtime"
    runtime.mkdir(mode=0o700)
    assert stat.S_IMODE(runtime.stat().st_mode) == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    monkeypatch.setenv("NO_COLOR", "1")
    assert os.environ["XDG_STATE_HOME"] == str(folder)
    return folder


@pytest.fixture
def small_project(tmp_path: Path) -> Path:
    """A project that could be brought up, without being one that speaks."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "bot.py").write_text("async def bot(runner_args):\n    pass\n")
    (root / "requirements.txt").write_text("pipecat-ai[webrtc]==1.14.0\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    local = f'[provider.local]\nport = {port}\nudp_ports = "21920-21927"\n'
    (root / "voicedeploy.toml").write_text(f'[bot]\nname = "front-desk"\n{local}')
    return root


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KiB. Needs root."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], check=True)
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)
