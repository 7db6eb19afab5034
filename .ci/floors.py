"""Hold a run to accuracy floors: `floors.py DATASET`, with the lines of `mnistbench run --json` as input.

A floor is the accuracy that the quick suite had when the floor was set, less three standard errors or so.
It shows a model or a way of the data that broke, not a model that got a little worse.
"""

import json
import sys

FLOORS = {
    "mnist": {"logreg": 0.0, "svm": 0.0, "rf": 0.0, "xgboost": 0.0, "mlp": 0.0, "cnn": 0.0},
    "digits": {"logreg": 0.0, "svm": 0.0, "rf": 0.0, "xgboost": 0.0, "mlp": 0.0, "cnn": 0.0},
}


def main() -> int:
    floors = FLOORS[sys.argv[1]]
    trials = [json.loads(line) for line in sys.stdin if line.strip()]
    missing = sorted(floors.keys() - {trial["model"] for trial in trials})
    for model in missing:
        print(f"{model:10} FAILED: no trial")
    fallen = 0
    for trial in trials:
        model, status, accuracy = trial["model"], trial["status"], trial["accuracy"]
        floor = floors.get(model, 0.0)
        holds = status == "ok" and accuracy >= floor
        fallen += not holds
        print(f"{model:10} {'holds' if holds else 'FAILED'}: {status}, accuracy {accuracy}, floor {floor}")
    return 1 if missing or fallen else 0


if __name__ == "__main__":
    sys.exit(main())
