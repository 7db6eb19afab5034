"""Two models and a suite of them, from which tests plan trials."""

from pathlib import Path

from mnistbench.plan.models import ModelFile
from mnistbench.plan.trials import Options, Suite, plan

__all__ = ["MODELS", "RF", "SUITE", "SVM", "Options", "model", "plan"]


def model(name: str, **parameters: object) -> ModelFile:
    return ModelFile(name, Path(f"{name}.py"), sha256="", parameters=parameters)


SVM = model("svm", C=10.0, gamma="scale", cache=200, weights=None, shrinking=True, sizes=(1, 2))
RF = model("rf", trees=100)
MODELS = {"rf": RF, "svm": SVM}
SUITE = Suite(
    name="s", summary="", models=("svm", "rf"), train_sizes=(100, None), seeds=(0, 1), timeout_seconds=60
)
