"""What `call` and `compare` share: who is called, and a bar while it lasts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from voicedeploy.call import Callee
    from voicedeploy.provider import Provider

Tell = Callable[[int, str, bool], None]
"""How many calls are done, what goes on, and whether one has just failed."""


def through(provider: "Provider", bot: str) -> "Callee":
    """The bot's deployment there, with the key. Raises NotReady where there is none."""
    from voicedeploy.call import Callee
    from voicedeploy.errors import NotReady

    have = provider.find(bot)
    if have is None:
        raise NotReady(f"{bot} is not on {provider.where}", hint="`voicedeploy up`, or name an address to call")
    return Callee.at(provider.door(have))


@contextmanager
def watched(total: int, *, quiet: bool) -> Iterator[Tell]:
    """A bar on stderr while calls are made; nothing where nobody watches."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (BarColumn(24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("", total=total)
        failures = 0

        def tell(done: int, text: str, failed: bool) -> None:
            nonlocal failures
            failures += failed
            some_failed = f"{failures} failed · " if failures else ""
            bar.update(task, completed=done, description=some_failed + text)

        yield tell
