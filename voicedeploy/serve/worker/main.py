"""From the front's configuration to a zygote, or to the one process of a call."""

import importlib.metadata
import io
import os
import platform
import sys
import time
from pathlib import Path

from . import call, preload, transports
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
    environment = Environment(os.environ)
    _prepare_environment()
    set_name("vd-zygote" if config.role == "zygote" else "vd-call")
    bot = _load(config, channel, environment)
    if config.role == "zygote":
        Zygote(channel, lambda control: call.live(control, bot, config.project, forked=True)).serve()
    else:
        call.live(channel, bot, config.project, forked=False)


def _prepare_environment() -> None:
    # A call has one core; pools of numeric threads only contend for it, and a fork leaves them behind.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    ours = str(Path(__file__).with_name("setup_file.py"))
    os.environ[SETUP_FILES] = os.pathsep.join(filter(None, (ours, os.environ.get(SETUP_FILES))))


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
    imported = time.monotonic()
    try:
        transports.prepare(config.transport)
    except transports.Unusable as error:
        channel.send({"event": "failed", "error": str(error), "where": "", "traceback": ""})
        raise SystemExit(1) from None
    preload.import_ahead()
    preload.share_models()
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
