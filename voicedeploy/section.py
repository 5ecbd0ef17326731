"""A table of voicedeploy.toml as a typed value, and how its faults are told."""

from pydantic import BaseModel, ConfigDict
from pydantic_core import PydanticCustomError


def wrong(message: str, remedy: str) -> PydanticCustomError:
    """To be raised by a validator: the fault and what to write instead."""
    return PydanticCustomError("voicedeploy", "{message}", {"message": message, "remedy": remedy})


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
