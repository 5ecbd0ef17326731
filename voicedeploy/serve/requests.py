"""What clients send, in the shapes that Pipecat's own clients use."""

from typing import Any, Literal

from pydantic import BaseModel, Field, JsonValue

from voicedeploy.serve.refusal import Refusal
from voicedeploy.serve.tokens import LONGEST_INVITE_S


class StartRequest(BaseModel):
    transport: str | None = None
    enableDefaultIceServers: bool = False  # noqa: N815  (Pipecat's name)
    body: dict[str, JsonValue] = {}


class OfferRequest(BaseModel):
    sdp: str = Field(min_length=1)
    type: Literal["offer"]
    pc_id: str | None = None
    restart_pc: bool | None = None
    request_data: JsonValue = Field(default=None)
    requestData: JsonValue = Field(default=None)  # noqa: N815  (both spellings are in use)

    def question(self) -> dict[str, Any]:
        return {
            "sdp": self.sdp,
            "type": self.type,
            "pc_id": self.pc_id,
            "restart_pc": self.restart_pc,
            "request_data": self.requestData if self.request_data is None else self.request_data,
        }


class Candidate(BaseModel):
    candidate: str = Field(max_length=4096)
    sdp_mid: str | None = None
    sdp_mline_index: int | None = None


class CandidatesRequest(BaseModel):
    pc_id: str
    candidates: list[Candidate] = Field(max_length=64)


class TokenRequest(BaseModel):
    kind: Literal["start", "invite"] = "start"
    ttl_s: int = Field(default=24 * 3600, ge=1, le=LONGEST_INVITE_S)
    """Of an invite."""


class DrainRequest(BaseModel):
    release_port: bool = False


def speaks(served: str, wanted: str | None) -> None:
    """Raises `Refusal` for a client that wants another transport than the one that is served."""
    if wanted not in (None, served):
        raise Refusal(400, "wrong-transport", f"this bot is served over {served}, not {wanted}")
