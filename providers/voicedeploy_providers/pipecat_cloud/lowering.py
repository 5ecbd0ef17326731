"""A spec in the platform's words: an agent is a slot, and as many are kept ready as the pool keeps without calls."""

from dataclasses import dataclass

from voicedeploy import transports
from voicedeploy.network import Transport
from voicedeploy.render import Artifact
from voicedeploy.spec import Spec
from voicedeploy_providers.pipecat_cloud.api import Wanted
from voicedeploy_providers.pipecat_cloud.context import Context, Recipe, artifacts, pack
from voicedeploy_providers.pipecat_cloud.options import Options
from voicedeploy_providers.pipecat_cloud.profiles import PROFILES, SESSION_S, fitting


@dataclass(frozen=True)
class Lowered:
    spec: Spec
    recipe: Recipe

    @property
    def agent(self) -> str:
        return self.recipe.agent

    def artifacts(self) -> list[Artifact]:
        return artifacts(self.spec, self.recipe)

    def context(self) -> Context:
        return pack(self.spec, self.artifacts())

    @property
    def wanted(self) -> Wanted:
        """Without the image, which is built first."""
        recipe = self.recipe
        return Wanted(
            secret_set=recipe.secret_set,
            min_agents=recipe.min_agents,
            max_agents=recipe.max_agents,
            profile=recipe.profile,
            max_session_s=recipe.max_session_s,
        )


def secret_set(agent: str) -> str:
    return f"{agent}-secrets"


def lower(spec: Spec, options: Options, region: str) -> Lowered:
    agent = options.agent or spec.bot.name
    profile = fitting(spec.session) or list(PROFILES.values())[-1]
    shortest, longest = SESSION_S
    return Lowered(
        spec,
        Recipe(
            agent,
            region,
            profile=options.profile or profile.name,
            min_agents=spec.pool.min,
            max_agents=spec.pool.max,
            max_session_s=min(max(spec.session.max_duration, shortest), longest),
            secret_set=secret_set(agent) if transports.secrets(spec) else "",
            # Only the vendor's tool can ask for it: a stranger cannot open a socket then.
            socket_auth="token" if spec.transport.kind is Transport.WEBSOCKET else "",
            base=options.base,
        ),
    )
