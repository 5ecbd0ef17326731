import gc
import os
import socket
import stat
import subprocess
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from xdist.remote import Producer  # type: ignore[import-untyped]
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]

from tests import processor

# What of the lab may run beside each other. Within a group tests take turns: they share what they have made, and
# measure. Whoever has two tests left is given another group, so the long ones come first, and behind a single long test
# a short group; those at the end are short.
GROUPS = {
    "host": (
        "lab/test_vm.py",
        "lab/test_vm_calls",
        "lab/test_vm_contract",
        "lab/test_vm_sockets",
        "lab/test_fly.py::test_a_deploy_under_a_call",
        "lab/test_fly_udp.py::test_a_deploy_under_calls",
    ),
    "patience": ("serve/test_patience",),
    "pauses": ("lab/test_compare.py::test_pauses",),
    "rounds": ("comparing/",),
    "distance": ("lab/test_compare.py::test_an_injected",),
    "bots": ("call/",),
    "compare": ("lab/test_compare.py::test_the_command",),
    "images": ("lab/test_image", "lab/test_fly_image", "lab/test_fly_dockerfile"),
    "fly": (
        "lab/test_fly.py",
        "lab/test_fly_life",
        "lab/test_fly_udp",
        "lab/test_fly_machine",
        "lab/test_fly_transports",
    ),
    "killed": ("lab/test_fly_killed",),
    "moving-hosts": ("lab/test_vm_switch", "lab/test_vm_upstream"),
    "ups": ("lab/test_up.", "lab/test_upstream"),
    "pipecat-cloud": ("lab/test_pipecat_cloud",),
    "demo": ("lab/test_demo", "lab/test_up_rooms", "lab/test_wheel", "init/"),
    "faults": ("lab/test_vm_faults",),
    "calls": ("lab/test_calls",),
    "switch": ("lab/test_switch",),
    "networks": ("lab/test_nat", "lab/test_turn"),
    "hosts": ("lab/test_hosts",),
    "pages": ("lab/test_page",),
    "more-hosts": ("lab/test_vm_ways_in", "lab/test_vm_turn", "lab/test_vm_https"),
    "front": ("serve/test_faults",),
    "rooms": ("lab/test_rooms",),
    "machine": ("",),
}


def group(nodeid: str) -> str:
    path = nodeid.removeprefix("tests/")
    return next(name for name, begins in GROUPS.items() if path.startswith(begins))


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """What says nothing of the lab need not be read for it."""
    named = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    if named and config.option.markexpr.startswith("lab"):
        return "mark.lab" not in collection_path.read_text("utf-8") or None
    return None


def pytest_configure() -> None:
    """What is read of the tests stays: nobody need look through it for garbage, over and over."""
    gc.disable()


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = [*GROUPS]
    items.sort(key=lambda item: order.index(group(item.nodeid)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """What measures comes before what runs beside it, with whatever it starts. Of what is quiet the test itself does,
    which calls."""
    with ExitStack() as turns:
        if item.get_closest_marker("measures"):
            turns.enter_context(processor.nicer())
        if item.get_closest_marker("quiet"):
            turns.enter_context(processor.first_in_turn())
        return (yield)


class InGroups(LoadScopeScheduling):  # type: ignore[misc]  # of no types
    """pytest-xdist 3.8 has `--dist loadgroup` for this, which pytest 9.2 lets do nothing: the name of a test, to which
    it adds the group's, is no text any more."""

    def _split_scope(self, nodeid: str) -> str:
        return group(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> InGroups | None:
    return InGroups(config, log) if config.option.dist == "loadgroup" else None


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
