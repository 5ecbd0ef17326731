"""What a front elsewhere has to know to lead its callers to an agent here. Nobody is asked."""

from voicedeploy.errors import UsageError
from voicedeploy.spec import Spec, Upstream
from voicedeploy.transports import carried
from voicedeploy_providers.pipecat_cloud.api import Places
from voicedeploy_providers.pipecat_cloud.options import Options

KEY = "PIPECAT_CLOUD_PUBLIC_KEY"


def upstream(spec: Spec, options: Options, places: Places) -> Upstream:
    agent, kind = options.agent or spec.bot.name, spec.transport.kind
    if not carried(kind):
        return Upstream(url=places.agent(agent), key=KEY)
    missing = [name for name in ("region", "organization") if not getattr(options, name)]
    if missing:
        raise UsageError(
            f"carriers are led to {' and '.join(missing)} of the agent, and {spec.file.name} does not name them",
            hint="; ".join(f'[provider.pipecat-cloud] {name} = "…"' for name in missing)
            + "; `pipecat cloud organizations list` has the organization's name",
        )
    line, parameters = places.stream(options.region, kind.value, agent, options.organization)
    return Upstream(url=places.agent(agent), key=KEY, line=line, parameters=parameters)
