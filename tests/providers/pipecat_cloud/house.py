"""An agent in the stand-in, and what tests ask of it."""

from dataclasses import dataclass
from typing import Any

from voicedeploy_providers.pipecat_cloud.api import AgentRecord, PipecatCloud, Wanted

from tests.providers.pipecat_cloud.standin import Standin

NAME = "front-desk"


@dataclass
class House:
    standin: Standin
    cloud: PipecatCloud

    def agent(self, *, live: bool = True, **wanted: Any) -> AgentRecord:
        """A new one, of the quiet image."""
        usual: dict[str, Any] = {"image": "acme/quiet:1", "min_agents": 0, "max_agents": 2}
        asked = Wanted(**(usual | wanted))
        made = self.cloud.agents.create(NAME, asked, region="us-west")
        return self.live(made) if live else made

    def live(self, agent: AgentRecord) -> AgentRecord:
        return self.cloud.agents.wait(NAME, agent.desired_deployment_id, timeout_s=600)

    def secrets(self, **values: str) -> str:
        self.cloud.secrets.put("front-desk", values, region="us-west")
        return self.cloud.secrets.wait("front-desk").name

    @property
    def now(self) -> AgentRecord:
        found = self.cloud.agents.get(NAME)
        assert found is not None
        return found
