"""Imports a model for its trial, collects its arguments, and identifies its engine.

NumPy is imported where it is used, because `child` loads this before its process is pinned to its cores.
"""

import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import Any

from mnistbench.estimators.optional import not_installed
from mnistbench.trial.contract import ContractError
from mnistbench.trial.request import MODULES, Request

_DISTRIBUTIONS = {"sklearn": "scikit-learn"}
_WRAPPERS = {"builtins", "mnistbench", "sklearnex", "daal4py"}


class ScikitLearnAlone(MetaPathFinder):
    """Finds scikit-learn so that its import does not import pandas, too, which takes a quarter of a second.

    scikit-learn imports it if it can, and looks for it again where it is given or asked for a table. A model
    that imports pandas itself gets it.
    """

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,
        target: object = None,  # noqa: ARG002 - importlib's signature
    ) -> ModuleSpec | None:
        """Return how to import `sklearn`; None for any other name."""
        spec = PathFinder.find_spec(fullname, path) if fullname == "sklearn" else None
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def load_alone(module: Any) -> None:
                with not_installed("pandas"):
                    load(module)

            spec.loader.exec_module = load_alone  # type: ignore[method-assign]
        return spec


def import_build(request: Request, outbox: Path) -> Callable[..., Any]:
    """Import the model from the outbox and return its `build`.

    The model's own processes inherit `sys.path` and import its functions and classes from there, too. The
    folder comes last, so that no file of a model hides a library.
    """
    sys.path.append(str(outbox.resolve() / MODULES))
    __import__(request.module)  # unlike importlib.import_module, adds no frames to tracebacks
    build = getattr(sys.modules[request.module], "build", None)
    if not callable(build):
        raise ContractError("the model's file has no function `build` after its import")
    return build  # type: ignore[no-any-return]


def arguments(request: Request, image_shape: tuple[int, int]) -> dict[str, Any]:
    """Return all arguments of `build`: those that the suite supplies, and its parameters.

    This loads Keras if `build` takes it, so that no fit includes that time.
    """
    from mnistbench.runs.json import plain_value

    parameters = {name: plain_value(value) for name, value in request.parameters.items()}
    context = {"seed": request.seed, "threads": request.threads, "image_shape": image_shape}
    if "keras" in request.supplied:
        from mnistbench.estimators.neural import load_keras

        load_keras(request.keras["backend"], request.threads)
        context["keras"] = {**request.keras, "seed": request.seed, "threads": request.threads}
    return {name: context[name] for name in request.supplied} | parameters


def set_progress(estimator: Any, report: Callable[[int, int, str], None] | None) -> None:
    """Set the progress callback of every part of the estimator that has one."""
    for part in parts(estimator):
        if hasattr(part, "on_progress"):
            part.on_progress = report


def note_stages(estimator: Any, note: Callable[[int, int, str], None]) -> None:
    """Call `note` at each stage of the training, if the last part of the estimator can predict with it later.

    Such a part has `on_progress`, and scikit-learn's `staged_predict`, which yields the labels predicted by
    each stage, or by some alone: see `Stages.predictions`. One that must store its stages for that does so if
    its attribute `keep_stages` is true.
    """
    last = parts(estimator)[-1]
    if hasattr(last, "on_progress") and hasattr(last, "staged_predict"):
        last.on_progress, last.keep_stages = note, True


def attribute(estimator: Any, name: str) -> Any:
    """Return an attribute of the estimator or, in a pipeline, of the last step that has it."""
    for part in reversed(parts(estimator)):
        value = getattr(part, name, None)
        if value is not None:
            return value
    return None


def parts(estimator: Any) -> list[Any]:
    """Return the estimator and, of a pipeline, its steps after it."""
    steps = getattr(estimator, "steps", None)
    return [estimator, *(step for _, step in steps)] if isinstance(steps, list) else [estimator]


def engine(estimator: Any) -> str:
    """Return the library that did the work, from the estimator's `engine_` or else from its class."""
    named = attribute(estimator, "engine_")
    if named:
        return str(named)
    last = parts(estimator)[-1]
    members = getattr(last, "__dict__", {}).get("estimators_")
    workers = members if isinstance(members, list) and members else [last]
    # scikit-learn-intelex falls back to scikit-learn silently, and then oneDAL has fitted nothing.
    if all(getattr(worker, "_onedal_estimator", None) is not None for worker in workers):
        from importlib.metadata import version

        return f"scikit-learn-intelex {version('scikit-learn-intelex')} (oneDAL)"
    part = " (libsvm)" if any(kind.__name__ == "BaseLibSVM" for kind in type(workers[0]).__mro__) else ""
    for kind in type(last).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _WRAPPERS or package.startswith(("mnistbench_model_", "_")):
            continue
        release = getattr(sys.modules.get(package), "__version__", "")
        return f"{_DISTRIBUTIONS.get(package, package)} {release}{part}".strip()
    return "its own code"
