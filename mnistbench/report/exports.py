"""The contents of a report in formats for programs and papers: JSON, LaTeX, Parquet."""

import io
import json
from collections.abc import Mapping

import pandas as pd

from mnistbench.analysis.contents import Contents
from mnistbench.analysis.headline import title
from mnistbench.analysis.tables import Table, labelled
from mnistbench.errors import UsageError
from mnistbench.text import visible


def json_file(contents: Contents) -> bytes:
    """Return all values as one JSON document; a value that there is not is null.

    Its `frames` hold each frame of the report, by name, as a list of its rows as objects.
    """
    info = contents.info
    document = {
        "run": info.name,
        "title": title(info),
        "date": info.created_at,
        "command": list(info.command),
        "headline": contents.headline,
        "dataset": info.dataset.name,
        "dataset_sha256": info.dataset.sha256,
        "split": info.split,
        "frames": {
            name: json.loads(labelled(frame, info).to_json(orient="records", double_precision=15))
            for name, frame in contents.frames.items()
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def latex_file(contents: Contents) -> bytes:
    r"""Return the tables as LaTeX to `\input`, each a `table` with rules of the package booktabs."""
    heading = f"% {visible(title(contents.info))}, run {visible(contents.info.name)}: made by mnistbench"
    return "\n".join([heading, *(_latex(name, table) for name, table in contents.tables.items())]).encode()


def parquet_files(contents: Contents) -> Mapping[str, bytes]:
    """Return each frame as a Parquet file, by name; UsageError without pyarrow."""
    try:
        import pyarrow  # noqa: F401 - pandas asks for it, too late for a clear word
    except ImportError as error:
        raise UsageError(
            "the format parquet needs pyarrow, which is not installed: "
            "`make setup EXTRAS=parquet`, or `pip install 'mnistbench[parquet]'`."
        ) from error
    return {name: _parquet(labelled(frame, contents.info)) for name, frame in contents.frames.items()}


def same_parquet(one: bytes, other: bytes) -> bool:
    """Say whether two Parquet files hold the same table, whichever versions wrote them."""
    try:
        return bool(pd.read_parquet(io.BytesIO(one)).equals(pd.read_parquet(io.BytesIO(other))))
    except Exception:  # pyarrow raises many kinds for damaged bytes
        return False


def _latex(name: str, table: Table) -> str:
    cells = [[_escaped(cell) for cell in row] for row in table.cells()]
    written: str = pd.DataFrame(
        cells, columns=[_escaped(column.heading) for column in table.columns]
    ).to_latex(
        index=False,
        escape=False,
        caption=_escaped(table.caption),
        label=f"tab:{name.replace('_', '-')}",
        column_format="".join("r" if column.right else "l" for column in table.columns),
        position="htbp",
    )
    return written


# Of LaTeX's special characters, and of those that its fonts lack; what is left is letters.
_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "{": r"\{",
        "}": r"\}",
        "%": r"\%",
        "$": r"\$",
        "#": r"\#",
        "&": r"\&",
        "_": r"\_",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "\N{NO-BREAK SPACE}": "~",
        "\N{NON-BREAKING HYPHEN}": "--",
        "\N{EM DASH}": "---",
        "\N{PLUS-MINUS SIGN}": r"$\pm$",
    }
)


def _escaped(text: str) -> str:
    return visible(text).translate(_LATEX)


def _parquet(frame: pd.DataFrame) -> bytes:
    plain = frame.copy()
    for name in plain.columns:
        if plain[name].dtype == object:  # of text, numbers and nothing at once, as seeds in a failed row
            plain[name] = plain[name].map(lambda value: None if value is None else str(value))
    written = io.BytesIO()
    plain.to_parquet(written, index=False)
    return written.getvalue()
