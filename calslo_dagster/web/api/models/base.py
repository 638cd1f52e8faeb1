"""What all bodies have in common, and what says that something was done."""

from pydantic import BaseModel, ConfigDict, Field


class Out(BaseModel):
    """What we say."""

    model_config = ConfigDict(from_attributes=True)


class In(BaseModel):
    """What we are told: a key that we do not know is a mistake."""

    model_config = ConfigDict(extra="forbid")


class Done(Out):
    """What was done, in a sentence."""

    done: str = Field(examples=["incident 75b6e6d35f92f655 is acknowledged by ada until 2026-03-01 16:00 UTC"])


class Removed(Out):
    """The number of what is no more."""

    id: int
