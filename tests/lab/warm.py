"""What one test has installed, the next one need not: an environment on this machine, and hosts on which bots were.

To install is half of what an `up` takes the processor for, and it is the same each time. What is about it, from a bare
host or an empty folder on, does without this.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Unpack

import pytest
import uv
from voicedeploy_providers.vm.places import ROOT
from voicedeploy_providers.vm.runtime import uv_version

from tests import forked
from tests.lab import hosts
from tests.lab.hosts import Host, Options, image
from tests.lab.hosts.fixtures import MakeHost, dropped_at_last
from tests.lab.hosts.state import locked
from tests.lab.ssh import Desk
from voicedeploy import beside, environment
from voicedeploy import spec as specs
from voicedeploy.plan import Command

BOT = "talker"
"""Whose environment a warm host has."""


def furnish(project: Path, state: Path) -> None:
    """The bot's environment is where an earlier `up` on this machine would have left it."""
    spec = specs.load(project / "voicedeploy.toml")
    digest = environment.digest(spec)

    def install(folder: Path) -> None:
        for step in environment.steps(
            spec, uv=uv.find_uv_bin(), folder=str(folder), source=str(project), env={}, exists=False
        ):
            assert isinstance(step.action, Command)
            subprocess.run(step.action.argv, cwd=project, check=True, capture_output=True)

    made = _kept(f"env-{digest}-{sys.version_info.major}.{sys.version_info.minor}", install)
    there = state / "voicedeploy" / spec.bot.name / "envs" / digest
    _link(made, there)
    python = there / "bin" / "python"
    python.unlink()
    python.symlink_to(forked.bots().python)


def host(name: str, **options: Unpack[Options]) -> Host:
    """One on which uv, this front and the environment of `BOT` are there already, which is not deployed."""
    options["over"] = _kept(f"host-{beside.identity()}-{uv_version()}", _install)
    return hosts.make(name, **options)


@pytest.fixture
def warm_host(lab: None) -> Iterator[MakeHost]:
    """Makes such hosts, which are dropped when the test ends."""
    with dropped_at_last(host) as make:
        yield make


def _install(folder: Path) -> None:
    _forget_hosts()
    with tempfile.TemporaryDirectory(prefix="vdl-") as scratch:
        desk = Desk(Path(scratch) / "desk", BOT)
        host = hosts.make("warming")
        try:
            desk.add(host)
            up = desk.up(host, "--no-call")
            assert up.code == 0, up
            made = host.folder / "root" / ROOT.lstrip("/")
            there = folder / ROOT.lstrip("/")
            for name in ("uv", "engine"):
                _link(made / name, there / name)
            _link(made / "bots" / BOT / "envs", there / "bots" / BOT / "envs")
        finally:
            hosts.drop(host)


def _forget_hosts() -> None:
    """Those of other fronts, except where a host stands on one."""
    mounted = Path("/proc/mounts").read_text()
    for other in image.cache().glob(f"{image.week()}-host-*"):
        if str(other) not in mounted:
            shutil.rmtree(other)


def _kept(name: str, fill: Callable[[Path], None]) -> Path:
    """A folder that stays for the week; the first to ask for it fills it, alone on this machine."""
    folder = image.cache() / f"{image.week()}-{name}"
    with locked(image.cache() / "warm.lock"):
        if not folder.exists():
            half = folder.with_suffix(".half")
            shutil.rmtree(half, ignore_errors=True)
            half.mkdir(parents=True)
            fill(half)
            half.rename(folder)
    return folder


def _link(source: Path, target: Path) -> None:
    """The same tree again; of what only installers write, the same files where that can be."""

    def one(source: str, target: str) -> None:
        # uv writes these anew in place, whatever it finds.
        if "/site-packages/" in source and "_virtualenv" not in source:
            with suppress(OSError):
                os.link(source, target)
                return
        shutil.copy2(source, target)

    shutil.copytree(source, target, symlinks=True, copy_function=one)
