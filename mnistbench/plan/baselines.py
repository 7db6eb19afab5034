"""Reads what others have published about the families of some models: `baselines.toml` beside their files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mnistbench.errors import UsageError
from mnistbench.plan.trials import read_toml
from mnistbench.runs.records import Published

FILE = "baselines.toml"


def published(model: Path, dataset: str) -> tuple[Published, ...]:
    """Return the accuracies that others have published for a model's family, in the order of the file.

    Raises:
        UsageError: The file beside the model cannot be read, or has an entry that says nothing.
    """
    path = model.parent / FILE
    if not path.exists():
        return ()
    tables = read_toml(path)
    return tuple(each for name, of, each in _entries(path, tables) if (name, of) == (model.stem, dataset))


def _entries(path: Path, tables: dict[str, Any]) -> Iterator[tuple[str, str, Published]]:
    """Yield the model, the data set, and the accuracy with its source, of each entry."""
    for title, table in tables.items():
        datasets = {**table} if isinstance(table, dict) else {}
        source = datasets.pop("source", None)
        if not isinstance(source, str) or not all(isinstance(each, dict) for each in datasets.values()):
            raise UsageError(
                f'{path}: [{title}] must have source = "..." and a table for each data set: '
                f"[{title}.mnist] with svm = 97.3, for example."
            )
        for dataset, values in datasets.items():
            for model, percent in values.items():
                if type(percent) not in (int, float) or not 0 <= percent <= 100:
                    raise UsageError(
                        f"{path}: [{title}.{dataset}] has {model} = {percent!r}; expected a percentage."
                    )
                if not path.with_name(f"{model}.py").is_file():
                    raise UsageError(f"{path}: [{title}.{dataset}] names {model}; there is no {model}.py.")
                yield model, dataset, Published(round(percent / 100, 12), source)
