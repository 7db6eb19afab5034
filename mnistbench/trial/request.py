"""What the parent asks of a trial's process: plain values alone, so that reading them loads no library."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

MODULES = "modules"


@dataclass(frozen=True)
class Request:
    """One trial, as plain values.

    Attributes:
        parent: Number of the parent's process.
        cores: The cores to which the child is tied.
        module: The name under which the folder `MODULES` of the outbox has the model's file.
        parameters: Every parameter of its `build`, by name.
        keras: How Keras is to compute ("precision", "backend"), for a `build` that asks for it; else empty.
        supplied: The further arguments that its `build` wants from the suite.
        seed: Of what is random in the model.
        threads: Threads that the model may use.
        arrays_folder: The data set's decoded arrays.
        classes: The data set's labels, sorted.
        split: "test" or "validation".
        holdout: The kind of hold-out.
        train_size: Training images used; None for all.
        subset_seed: Of the choice of these images.
        measurements: What to measure beside quality, `fit` and `predict`.
    """

    parent: int
    cores: Sequence[int]
    module: str
    parameters: Mapping[str, Any]
    keras: Mapping[str, Any]
    supplied: Sequence[str]
    seed: int
    threads: int
    arrays_folder: str
    classes: Sequence[int]
    split: str
    holdout: str
    train_size: int | None
    subset_seed: int
    measurements: Sequence[str]

    def to_json(self) -> bytes:
        """Return it as the parent writes it to request.json."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Return what the parent wrote; tuples come back as lists."""
        return cls(**json.loads(content))
