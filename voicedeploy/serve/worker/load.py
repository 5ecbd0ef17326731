"""The bot's module, loaded from its entry file as the project's own."""

import importlib.util
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from .log import log

Bot = Callable[[Any], Awaitable[None]]


class NotABot(Exception):
    """The entry file was imported and has no usable `async def bot(runner_args)`."""


def load(project: Path, entry: str) -> Bot:
    """The entry file's `bot`; its `__main__` block does not run. Raises whatever importing it raises."""
    path = (project / entry).resolve()
    # As `python bot.py` has it, plus the project's folder for an entry that lies deeper.
    sys.path[:0] = dict.fromkeys((str(path.parent), str(project)))
    sys.argv = [str(path)]
    if not path.is_file():
        raise NotABot(f"{entry}: no such file in {project}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise NotABot(f"{entry} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    bot = getattr(module, "bot", None)
    if not inspect.iscoroutinefunction(bot):
        raise NotABot(f"{entry} has no `async def bot(runner_args)`")
    checked: Bot = bot
    return checked


class Environment:
    """The environment that was given, kept against a `.env` file.

    `load_dotenv(override=True)` puts the file above the real environment; Pipecat's own runner does that when
    it is imported, and sets ENV=local. Here the given values win, and what only the file names is added.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self.given = dict(given)

    def guard(self) -> None:
        try:
            from dotenv.main import DotEnv
        except ImportError:
            return
        apply = getattr(DotEnv, "set_as_environment_variables", None)
        if apply is None:
            log("a .env file may replace the environment: this python-dotenv has changed")
            return

        def set_as_environment_variables(file: DotEnv) -> bool:
            applied: bool = apply(file)
            os.environ.update(self.given)
            return applied

        DotEnv.set_as_environment_variables = set_as_environment_variables  # type: ignore[assignment, method-assign]

    def after_import(self) -> None:
        if "pipecat.runner.run" in sys.modules:
            os.environ.pop("ENV", None)
            if "ENV" in self.given:
                os.environ["ENV"] = self.given["ENV"]
