"""The library behind the interactive charts, Vega, as one piece of JavaScript that a page can hold.

vl-convert carries Vega, Vega-Lite and Vega-Embed (BSD licence, https://vega.github.io) and packs them without
any network. That takes seconds and always gives the same, so the result is kept in the cache.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import re
import secrets
from pathlib import Path

import vl_convert

# What may not stand in the script element that holds it; in a string of JavaScript \x3c is the same.
_ENDING = re.compile(r"<(?=/?script|!--)", re.IGNORECASE)


@functools.cache
def library(cache: Path) -> str:
    """Return a JavaScript module that defines `window.vegaEmbed`.

    Args:
        cache: Where it is kept; a cache that cannot be written only costs time.
    """
    path = cache / f"vega-{importlib.metadata.version('vl-convert-python')}.js"
    with contextlib.suppress(OSError, UnicodeDecodeError):
        digest, _, kept = path.read_text(encoding="utf-8").partition("\n")
        if digest == _digest(kept):
            return kept
    made: str = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    made = _ENDING.sub(r"\\x3c", made)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(f"{_digest(made)}\n{made}", encoding="utf-8")
        partial.replace(path)
    return made


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
