"""`mnistbench list`: the models and the suites."""

from mnistbench.cli import options
from mnistbench.cli.options import register
from mnistbench.cli.output import print_table, say
from mnistbench.plan.models import builtin_folder, discover


@register(name="list", epilog="Example:  mnistbench list --models my_models")
def list_(models: options.Models = None) -> None:
    """List the models with their parameters, and the suites."""
    rows = []
    for model in discover([builtin_folder(), *(models or [])]).values():
        problem = None if model.problem is None else (f"cannot run: {model.problem}", "red")
        parameters = ", ".join(f"{name}={value!r}" for name, value in model.parameters.items())
        rows.append((model.name, problem or model.summary, (parameters, "dim")))
    print_table(("model", "summary", "parameters"), rows)
    say("")
    print_table(("suite", "summary"), [(suite.name, suite.summary) for suite in options.suites().values()])
