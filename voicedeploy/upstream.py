"""Bots on another platform than their front: what the front has to know of that platform, told by its provider."""

from typing import Protocol, runtime_checkable

from voicedeploy import registry
from voicedeploy.errors import UsageError
from voicedeploy.spec import Spec, Upstream


@runtime_checkable
class TakesCalls(Protocol):
    """A provider whose platform takes the calls of a front that is elsewhere."""

    def upstream(self, spec: Spec) -> Upstream:
        """With `url` and `key`, and `line` where a carrier calls. Nobody is asked. Raises `UsageError`."""
        ...


def seen_from(spec: Spec, place: str) -> Spec:
    """The spec as the provider `place` has to read it: where the bots themselves run, they are nowhere else."""
    wanted = spec.upstream
    if not wanted.provider:
        return spec
    if wanted.provider == place:
        return spec.with_upstream(Upstream())
    provider = registry.load(wanted.provider).configure(spec.options(wanted.provider))
    if not isinstance(provider, TakesCalls):
        raise UsageError(
            f"{spec.file.name}: upstream.provider: {wanted.provider} takes no calls of a front elsewhere",
            hint='provider = "pipecat-cloud", or the platform\'s own address in `upstream.url`',
        )
    told = provider.upstream(spec)
    given = wanted.model_dump(exclude_defaults=True)
    return spec.with_upstream(told.model_copy(update=given))
