"""Nothing that a model or a data set names can become markup; tables read as text too."""

import html
import re

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from mnistbench.analysis.tables import Column, Table
from mnistbench.report.markdown import Markdown, block, code, escape, table

RENDER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
NASTY = st.text(st.sampled_from("ab 1\\`*_[]()<>!|~&#+-=.:;$\n\t\x1b\u202e/\"'"), max_size=30)


def shown(markdown: str) -> str:
    """Return the text that a reader sees once it is rendered; fail at any element but a paragraph."""
    rendered = RENDER.render(markdown)
    assert re.fullmatch(r"(<p>[^<]*</p>\n)?", rendered), rendered
    return html.unescape(re.sub(r"</?p>|\n$", "", rendered))


@given(NASTY)
def test_escaped_text_shows_as_itself(text):
    plain = re.sub(r"\s+", " ", text).strip().replace("\x1b", r"\x1b").replace("\u202e", r"\u202e")
    assert shown(escape(text)).strip() == plain


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "**bold**",
        "[a](javascript:x)",
        "a | b",
        "# title",
        "1. one",
        "&lt;",
        "`x`",
    ],
)
def test_markup_shows_as_itself(text):
    assert shown(escape(text)) == text


@pytest.mark.parametrize(
    "name", ["random_forest", "svm-libsvm", "svm (C=1.0, 5,000 images)", "98.37", "MNIST"]
)
def test_plain_names_stay_readable_as_text(name):
    assert escape(name) == name


def test_markdown_made_here_is_not_escaped_twice():
    assert escape(Markdown("**x**")) == "**x**"


@given(NASTY)
def test_code_shows_as_itself(text):
    plain = re.sub(r"\s+", " ", text).replace("\x1b", r"\x1b").replace("\u202e", r"\u202e").strip()
    if plain:
        rendered = RENDER.render(code(text))
        assert (
            rendered == f"<p><code>{html.escape(plain, quote=False).replace(chr(34), '&quot;')}</code></p>\n"
        )


@given(st.lists(NASTY, max_size=5))
def test_a_block_holds_any_log(lines):
    rendered = RENDER.render(block("\n".join(lines)))
    assert rendered.startswith("<pre><code")
    assert rendered.endswith("</code></pre>\n")
    assert "\x1b" not in rendered


def test_a_block_keeps_the_last_state_of_a_progress_bar():
    assert block("10 %\r50 %\rdone\nnext") == "```text\ndone\nnext\n```"


@given(st.lists(st.tuples(NASTY, st.floats(0, 1)), min_size=1, max_size=4))
def test_a_table_is_aligned_and_keeps_its_cells(rows):
    frame = pd.DataFrame(rows, columns=["name", "share"])
    columns = (Column("name", "model", str, right=False), Column("share", "share", lambda v: f"{v:.3f}"))
    lines = table(Table("t", "T", frame, columns)).split("\n")
    assert len({len(line) for line in lines}) == 1
    rendered = RENDER.render("\n".join(lines))
    assert rendered.count("<tr>") == len(rows) + 1
    assert rendered.count("<td") == 2 * len(rows)
    assert not re.search(r"<(?!/?(table|thead|tbody|tr|th|td)\b)", rendered)
