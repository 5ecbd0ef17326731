"""What Pipecat Cloud says: the fields that are needed, and tolerant of all others."""

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


class Record(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="ignore", hide_input_in_errors=True, alias_generator=to_camel, populate_by_name=True
    )

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, data: Any) -> Any:
        """Nulls are as good as nothing."""
        return {k: v for k, v in data.items() if v is not None} if isinstance(data, dict) else data


class Health(Record):
    """Of the agents of a revision. `reason`, `last_exit_code` … are there when one does not run."""

    ready: bool = False
    state: str = ""
    """`running`, `waiting` or `terminated`."""
    restart_count: int = 0
    replicas_started: int = 0
    reason: str = ""
    last_exit_code: int | None = None
    last_termination_reason: str = ""
    message: str = ""


class Revision(Record):
    deployment_id: str = Field("", validation_alias=AliasChoices("deploymentID", "deploymentId", "deployment_id"))
    phase: str = ""
    """`Creating`, `Validating`, `Active`, `Draining` or `Failed`."""
    ready_replicas: int = 0
    phase_started_at: str = ""
    health: Health = Health()
    has_infrastructure_issue: bool = False


class Replicas(Record):
    min_replicas: int = 0
    max_replicas: int = 0


class Spec(Record):
    image: str = ""
    auto_scaling: Replicas = Replicas()
    env_from_secret_names: tuple[str, ...] = ()
    image_pull_secret_name: str = ""
    max_session_duration_seconds: int = 0


class Metadata(Record):
    namespace: str = ""


class Manifest(Record):
    metadata: Metadata = Metadata()
    spec: Spec = Spec()


class Deployment(Record):
    id: str = ""
    manifest: Manifest = Manifest()
    created_at: str = ""

    @property
    def spec(self) -> Spec:
        return self.manifest.spec


class AgentRecord(Record):
    name: str
    region: str = ""
    ready: bool = False
    available: bool = False
    desired_deployment_id: str = ""
    reconciled_deployment_id: str = ""
    auto_scaling: Replicas = Replicas()
    active_session_count: int = 0
    deployment: Deployment = Deployment()
    agent_profile: str = ""
    current_revision: Revision = Revision()
    previous_revision: Revision = Revision()
    created_at: str = ""
    updated_at: str = ""

    @property
    def organization(self) -> str:
        """As carriers have to say it. Nothing tells it but the agent's namespace, which has that form in the vendor's
        description (2026-11); the call that proves a bot proves that too."""
        return self.deployment.manifest.metadata.namespace

    @property
    def live(self) -> bool:
        """What is wanted takes calls. With no agent running too, where the smallest number is 0."""
        return self.ready and self.available and self.desired_deployment_id == self.reconciled_deployment_id != ""

    @property
    def failed(self) -> bool:
        """What is wanted will not run; what was there before may go on."""
        revision = self.current_revision
        return revision.phase == "Failed" and revision.deployment_id in ("", self.desired_deployment_id)


class AgentSummary(Record):
    id: str = ""
    name: str
    region: str = ""
    desired_deployment_id: str = ""
    reconciled_deployment_id: str = ""


class SecretSet(Record):
    """Names of secrets, never values."""

    name: str = ""
    type: str = ""
    """`secret` or `imagePullSecret`."""
    region: str = ""
    status: str = ""
    """`pending`, `ready` or `failed`."""
    error_message: str = ""
    keys: tuple[str, ...] = Field((), validation_alias=AliasChoices("secrets", "keys"))

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        if not isinstance(data, dict) or not isinstance(data.get("secrets"), list):
            return data
        names = [row["fieldName"] if isinstance(row, dict) and "fieldName" in row else row for row in data["secrets"]]
        return {**data, "secrets": names}


class Upload(Record):
    upload_id: str
    upload_url: str = Field(repr=False)
    upload_fields: dict[str, str] = Field(default_factory=dict, repr=False)


class Build(Record):
    id: str
    status: str = ""
    """`pending`, `building`, `success`, `failed` or `timeout`."""
    region: str = ""
    context_hash: str = ""
    image_uri: str = ""
    error_message: str = ""
    context_size_bytes: int = 0
    image_size_bytes: int = 0
    build_duration_seconds: int = 0
    created_at: str = ""

    @property
    def over(self) -> bool:
        return self.status in ("success", "failed", "timeout")


class IceServer(Record):
    urls: tuple[str, ...] = ()
    username: str = ""
    credential: str = Field("", repr=False)

    @model_validator(mode="before")
    @classmethod
    def _listed(cls, data: Any) -> Any:
        return (
            {**data, "urls": [data["urls"]]} if isinstance(data, dict) and isinstance(data.get("urls"), str) else data
        )


class IceConfig(Record):
    ice_servers: tuple[IceServer, ...] = ()


class Started(Record):
    """What opens a session to its caller is not shown."""

    session_id: str = ""
    ice_config: IceConfig = IceConfig()
    daily_room: str = ""
    daily_token: str = Field("", repr=False)
    ws_url: str = ""
    token: str = Field("", repr=False)
    body: str = Field("", repr=False)
    """The data, as a socket wants it behind `?body=`."""


class Session(Record):
    session_id: str
    deployment_id: str = ""
    created_at: str = ""
    ended_at: str = ""
    bot_start_seconds: int | None = None
    cold_start: bool | None = None
    completion_status: str = ""


class LogLine(Record):
    log: str = ""
    timestamp: str = ""
    deployment_id: str = ""


class Region(Record):
    code: str
    display_name: str = Field("", alias="display_name")
