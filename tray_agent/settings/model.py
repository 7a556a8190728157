"""What all configuration models have in common (no I/O)."""

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """Base of everything that stands in a configuration file: frozen, and no key it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
