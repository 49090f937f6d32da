"""owner.json: the uids of the ConfigMaps that owned what a run has started, or that a clean-up has met."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from pi_speedup.model.base import Model, Text

# As Kubernetes gives them; harmless in a shell and in an environment.
Uid = Annotated[str, StringConstraints(pattern=r"^[-0-9A-Za-z]{8,64}$")]


class Owners(Model):
    """By these uids what is left of a run is known as ours, once the ConfigMap itself is gone."""

    schema_version: Literal[1] = 1
    namespace: Text
    uids: Annotated[tuple[Uid, ...], Field(max_length=1000)]
