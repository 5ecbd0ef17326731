"""From the front's configuration to a zygote, or to the one process of a call."""

import importlib.metadata
import io
import os
import platform
import sys
import time
from pathlib import Path

from . import call, observers, preload, transports
from .config import Config
from .failure import describe
from .forkable import obstacle
from .load import Bot, Environment, load
from .process import deaf_to_the_terminal, die_with_parent, set_name
from .wire import Channel
from .zygote import Zygote

SETUP_FILES = "PIPECAT_SETUP_FILES"


def main() -> None:
    die_with_parent()
    config = Config.from_environment()
    channel = Channel.from_fd(config.control_fd)
    deaf_to_the_terminal()
    if config.role == "child":
        os.setpgid(0, 0)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(line_buffering=True, errors="backslashreplace")
    _one_thread()
    _observe()
    environment = Environment(os.environ)
    set_name("vd-zygote" if config.role == "zygote" else "vd-call")
    bot = _load(config, channel, environment)
    if config.role == "zygote":
        Zygote(channel, lambda control: call.live(control, bot, config, forked=True)).serve()
    else:
        call.live(channel, bot, config, forked=False)


def _one_thread() -> None:
    # A call has one core; pools of numeric threads only contend for it, and a fork leaves them behind.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _observe() -> None:
    ours = str(Path(__file__).with_name("setup_file.py"))
    files = os.environ.get(SETUP_FILES, "").split(os.pathsep)
    os.environ[SETUP_FILES] = os.pathsep.join([ours, *(file for file in files if file not in ("", ours))])


def _load(config: Config, channel: Channel, environment: Environment) -> Bot:
    started = time.monotonic()
    try:
        os.chdir(config.project)
        environment.guard()
        bot = load(config.project, config.entry)
    except BaseException as error:
        channel.send({"event": "failed", **describe(error, config.project)})
        raise SystemExit(1) from None
    environment.after_import()
    _observe()
    imported = time.monotonic()
    try:
        transports.prepare(config.transport)
    except transports.Unusable as error:
        channel.send({"event": "failed", "error": str(error), "where": "", "traceback": ""})
        raise SystemExit(1) from None
    preload.import_ahead()
    if config.tuned:
        transports.lighten(config.transport)
        observers.lighten()
    preload.share_models()
    transports.rehearse(config.transport)
    reason = obstacle()
    preload.settle()
    channel.send(
        {
            "event": "loaded",
            "pipecat": _version("pipecat-ai"),
            "python": platform.python_version(),
            "import_ms": round((imported - started) * 1000, 1),
            "preload_ms": round((time.monotonic() - imported) * 1000, 1),
            "forkable": not reason,
            "reason": reason,
        }
    )
    return bot


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""
