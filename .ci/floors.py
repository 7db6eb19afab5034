"""Check a run against accuracy floors: `floors.py DATASET` reads the output of `mnistbench run --json`.

A floor is the accuracy of the quick suite when the floor was set, less about three standard errors. It
detects a broken model or data path, not a slightly worse model.
"""

import json
import sys

FLOORS = {
    "mnist": {"logreg": 0.895, "svm": 0.950, "rf": 0.932, "xgboost": 0.932, "mlp": 0.945, "cnn": 0.973},
    "digits": {"logreg": 0.950, "svm": 0.960, "rf": 0.950, "xgboost": 0.945, "mlp": 0.960, "cnn": 0.965},
}


def main() -> int:
    floors = FLOORS[sys.argv[1]]
    trials = [json.loads(line) for line in sys.stdin if line.strip()]
    missing = sorted(floors.keys() - {trial["model"] for trial in trials})
    for model in missing:
        print(f"{model:10} FAILED: no trial")
    failed = 0
    for trial in trials:
        model, status, accuracy = trial["model"], trial["status"], trial["accuracy"]
        floor = floors.get(model, 0.0)
        holds = status == "ok" and accuracy >= floor
        failed += not holds
        print(f"{model:10} {'holds' if holds else 'FAILED'}: {status}, accuracy {accuracy}, floor {floor}")
    return 1 if missing or failed else 0


if __name__ == "__main__":
    sys.exit(main())
