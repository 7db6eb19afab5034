"""The request that crosses the process border."""

from mnistbench.trial.request import Request


def test_a_request_arrives_as_it_was_sent():
    sent = Request(
        parent=7,
        cores=[0, 3],
        module="mnistbench_model_knn",
        parameters={"k": 3, "rate": 0.1, "weights": None, "widths": [512, 256]},
        keras={},
        supplied=["seed"],
        seed=2**31 - 1,
        threads=2,
        arrays_folder="/cache/mnist",
        classes=list(range(10)),
        split="test",
        holdout="last",
        train_size=None,
        subset_seed=0,
        measurements=[],
    )
    arrived = Request.from_json(sent.to_json())
    assert arrived == sent
