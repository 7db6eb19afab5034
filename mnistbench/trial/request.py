"""The parent's request to a trial's process: plain values, so that reading them loads no library."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

MODULES = "modules"


@dataclass(frozen=True)
class Request:
    """One trial, as plain values.

    Attributes:
        parent: Process id of the parent.
        cores: The cores to pin the child to.
        module: The module name of the model's file in the folder `MODULES` of the outbox.
        keras: Keras's settings ("precision", "backend") if `build` takes `keras`; else empty.
        supplied: The arguments of `build` that the suite supplies, beside its `parameters`.
        classes: The data set's labels, sorted.
        split: "test" or "validation".
        train_size: Number of training images; None for all.
        subset_seed: The seed that draws these images.
        measurements: Measurements beside quality, `fit` and `predict`.
        synthetic: How many of the training images are synthetic.
        synthetic_folder: The folder of their blocks; empty without any.
        forecast: What the trial is foretold to take, and its limits, in words.
        too_long: Whether that is more than its time limit.
        too_large: Whether all images in memory are foretold to take more than its memory limit.
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
    synthetic: int = 0
    synthetic_folder: str = ""
    forecast: str = ""
    too_long: bool = False
    too_large: bool = False

    def to_json(self) -> bytes:
        """Return the bytes of request.json."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Return the request in these bytes; tuples come back as lists."""
        return cls(**json.loads(content))
