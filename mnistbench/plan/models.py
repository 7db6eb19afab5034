"""Finds model files and reads their descriptions without importing any of their libraries.

A model is one file: its stem is the name, the first line of its docstring the summary, and the keyword
defaults of its `build` the parameters, also where it is `build = partial(function, name=default)`. The file
is parsed, never run, so that listing is instant and a missing library costs one row of a run, not the run.

Files whose names start with "_" are not models, but a model may import them, and then they are part of it.
"""

import ast
import hashlib
import re
import threading
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mnistbench.errors import UsageError
from mnistbench.runs.json import PLAIN_VALUES, plain_value

# The arguments that `build` may have without a default, because the suite supplies them.
SUPPLIED = frozenset({"seed", "threads", "image_shape", "keras"})
# Further parameters of each model whose `build` takes `keras`, which passes their values on.
KERAS_PARAMETERS: Mapping[str, Any] = {"precision": "auto", "backend": None}
_PARSING = threading.Lock()  # CPython 3.11 counts the depth of trees for all threads together
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_COMPANION = re.compile(r"_(?!_)\w*")


@dataclass(frozen=True)
class ModelFile:
    """One model as its file describes it."""

    name: str  # the file's stem
    path: Path
    sha256: str  # `sources_digest` of its sources
    summary: str = ""  # first line of the module's docstring; may be empty
    # The keyword defaults of `build`, and `KERAS_PARAMETERS` if it takes `keras`.
    parameters: Mapping[str, Any] = field(default_factory=dict)
    supplied: tuple[str, ...] = ()  # the arguments of `build` that the suite supplies, out of `SUPPLIED`
    problem: str | None = None  # why it cannot be run, or None; it is listed, and its trials are invalid

    @property
    def module(self) -> str:
        """The name under which a trial imports the file, which clashes with no library."""
        return f"mnistbench_model_{self.name}"

    def sources(self) -> dict[str, bytes]:
        """Return the current source of the model: its file first, then the companion files it imports.

        The keys are paths relative to the model's folder, with "/" on every system.

        Raises:
            OSError: A file cannot be read.
        """
        return _read_sources(self.path)


def sources_digest(sources: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of a model's sources: of a single file's bytes, or of a list of several hashes."""
    digests = {name: hashlib.sha256(source).hexdigest() for name, source in sources.items()}
    if len(digests) == 1:
        return next(iter(digests.values()))
    lines = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(lines.encode()).hexdigest()


def builtin_folder() -> Path:
    """Return the folder of the suite's own models, in the installed wheel or else in the source tree."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "benchmarks"
    return installed if installed.is_dir() else package.parent / "benchmarks"


def discover(folders: Iterable[Path]) -> dict[str, ModelFile]:
    """Read every model file in the folders; return the models by name, in alphabetical order.

    Raises:
        UsageError: A folder does not exist or holds no model, or two models have the same name.
    """
    found: dict[str, ModelFile] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"{folder} is not a folder; --models expects a folder of model files.")
        paths = sorted(p for p in folder.glob("*.py") if not p.name.startswith(("_", ".")))
        if not paths:
            raise UsageError(f"{folder} has no models; a model is a file NAME.py with a function `build`.")
        for path in paths:
            if path.stem in found:
                raise UsageError(
                    f"two models are named {path.stem}: {found[path.stem].path} and {path}; "
                    "rename one of them."
                )
            found[path.stem] = read_model_file(path)
    return dict(sorted(found.items()))


def read_model_file(path: Path) -> ModelFile:
    """Parse one model file; `problem` describes any fault."""
    name = path.stem
    try:
        sources = _read_sources(path)
    except OSError as error:
        return ModelFile(name, path, sha256="", problem=cannot_be_read(path, error))
    source, digest = sources[path.name], sources_digest(sources)
    if not _NAME.fullmatch(name):
        problem = (
            "its name must start with a letter and contain only letters, digits, hyphens and underscores"
        )
        return ModelFile(name, path, digest, problem=problem)
    try:
        module = _parsed(source)
    except SyntaxError as error:
        place = f" (line {error.lineno})" if error.lineno else ""
        return ModelFile(name, path, digest, problem=f"is not valid Python{place}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        reason = str(error) or "it is nested too deeply"
        return ModelFile(name, path, digest, problem=f"is not valid Python: {reason}")
    summary = (ast.get_docstring(module) or "").strip().partition("\n")[0]
    try:
        supplied, parameters = _signature(module)
    except ValueError as error:
        return ModelFile(name, path, digest, summary, problem=str(error))
    return ModelFile(name, path, digest, summary, parameters, supplied)


def cannot_be_read(path: Path, error: OSError) -> str:
    """Return the problem of a model with an unreadable source file."""
    reason = f"cannot be read: {error.strerror or error}"
    if error.filename is None or Path(error.filename) == path:
        return reason
    return f"imports {Path(error.filename).relative_to(path.parent).as_posix()}, which {reason}"


def _read_sources(path: Path) -> dict[str, bytes]:
    """Return the sources of the model in this file; see `ModelFile.sources`."""
    sources: dict[str, bytes] = {}
    waiting = [path]
    while waiting:
        file = waiting.pop(0)
        name = file.relative_to(path.parent).as_posix()
        if name not in sources:
            sources[name] = file.read_bytes()
            waiting += _companions(path.parent, sources[name])
    return sources


def _companions(folder: Path, source: bytes) -> Iterator[Path]:
    """Yield the companion files that the source imports: NAME.py, or all files of a package."""
    for name in sorted(filter(_COMPANION.fullmatch, _imported(source))):
        package, module = folder / name, folder / f"{name}.py"
        if (package / "__init__.py").is_file() or (package.is_dir() and not module.is_file()):
            yield from sorted(package.rglob("*.py"))
        elif module.is_file():
            yield module


def _imported(source: bytes) -> set[str]:
    """Return the top-level names of all modules that the source imports, anywhere in it."""
    try:
        nodes = list(ast.walk(_parsed(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # importing it reports the error
        return set()
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 0]
    return {name.partition(".")[0] for name in names}


def _parsed(source: bytes) -> ast.Module:
    # Syntax warnings concern the author of the file.
    with _PARSING, warnings.catch_warnings(action="ignore"):
        try:
            return ast.parse(source)
        except SystemError:  # another thread's formatting of a traceback parses too, without our lock
            return ast.parse(source)


def _signature(module: ast.Module) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the arguments of `build` that the suite supplies, and its parameters; ValueError if unfit."""
    function, bound = _build(module)
    arguments = function.args
    if arguments.vararg or arguments.posonlyargs or (arguments.kwarg and not bound):
        raise ValueError("`build` may not take *args, **kwargs or positional-only arguments")
    required = len(arguments.args) - len(arguments.defaults)
    defaults: dict[str, ast.expr | None] = {
        **{argument.arg: None for argument in arguments.args[:required]},
        **dict(zip((a.arg for a in arguments.args[required:]), arguments.defaults, strict=True)),
        **dict(zip((a.arg for a in arguments.kwonlyargs), arguments.kw_defaults, strict=True)),
    }
    if not arguments.kwarg and (unknown_names := bound.keys() - defaults):
        raise ValueError(
            f"`build` passes {min(unknown_names)!r} to {function.name}, which has no such argument"
        )
    defaults = {name: default for name, default in defaults.items() if name not in bound} | bound
    supplied = tuple(name for name, default in defaults.items() if default is None)
    for name in supplied:
        if name not in SUPPLIED:
            raise ValueError(
                f"`build` has an argument {name!r} without a default, which the suite does not supply: "
                f"give it a default, or use one of {', '.join(sorted(SUPPLIED))}"
            )
    parameters = {}
    for name, default in defaults.items():
        if default is None:
            continue
        try:
            parameters[name] = plain_value(ast.literal_eval(default))
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            raise ValueError(
                f"the default of {name!r} in `build` must be a literal: {PLAIN_VALUES}"
            ) from error
    if "keras" in supplied:
        if own := parameters.keys() & KERAS_PARAMETERS:
            raise ValueError(f"`build` takes keras, which already has {min(own)!r}; leave that out")
        parameters.update(KERAS_PARAMETERS)
    return supplied, parameters


def _build(module: ast.Module) -> tuple[ast.FunctionDef, dict[str, ast.expr | None]]:
    """Return the function behind `build`, and the keywords that `functools.partial` binds, if any."""
    functions = {node.name: node for node in module.body if isinstance(node, ast.FunctionDef)}
    for node in reversed(module.body):  # when the file runs, the last definition counts
        match node:
            case ast.FunctionDef(name="build"):
                return functions["build"], {}
            case ast.Assign(
                targets=[ast.Name("build")],
                value=ast.Call(
                    func=ast.Name("partial") | ast.Attribute(ast.Name("functools"), "partial"),
                    args=[ast.Name(name)],
                    keywords=keywords,
                ),
            ) if name in functions and all(keyword.arg for keyword in keywords):
                return functions[name], {keyword.arg: keyword.value for keyword in keywords if keyword.arg}
    raise ValueError("has no function `build`")
