"""Which providers there are. Built-in ones and those of third parties stand in the same entry-point group."""

import difflib
from importlib.metadata import EntryPoint, entry_points

from voicedeploy.errors import UsageError
from voicedeploy.provider import Provider

GROUP = "voicedeploy.providers"


def names() -> list[str]:
    """Without importing any of them."""
    return sorted({point.name for point in entry_points(group=GROUP)})


def load(name: str) -> type[Provider]:
    """The provider class called `name`; imports it and no other."""
    found: dict[str, EntryPoint] = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        known = ", ".join(sorted(found))
        raise UsageError(
            f"there is no provider {name!r}",
            hint=f"did you mean `--provider {near[0]}`?" if near else f"known here: {known}",
        )
    point = found[name]
    try:
        provider = point.load()
    except ModuleNotFoundError as error:
        raise UsageError(
            f"provider {name!r} needs the module {error.name!r}, which is not installed",
            hint=f"pip install 'voicedeploy[{name}]'",
        ) from error
    missing = [part for part in _PARTS if not hasattr(provider, part)]
    if missing:
        raise UsageError(
            f"provider {name!r} ({point.value}) lacks {', '.join(missing)}",
            hint="see voicedeploy.provider.Provider; `voicedeploy.testing` has the tests it must pass",
        )
    checked: type[Provider] = provider
    return checked


_PARTS = sorted({name for name in vars(Provider) if not name.startswith("_")} | set(Provider.__annotations__))
