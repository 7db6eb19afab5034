"""The library behind the interactive charts, Vega, as one piece of JavaScript that a page can hold.

vl-convert carries Vega, Vega-Lite and Vega-Embed (BSD licence, https://vega.github.io) and packs them without
any network. That takes seconds and always gives the same, so the result is kept.
"""

import contextlib
import functools
import hashlib
import importlib.metadata
import re
import secrets

import platformdirs
import vl_convert

# What may not stand in the script element that holds it; in a string of JavaScript \x3c is the same.
_ENDING = re.compile(r"<(?=/?script|!--)", re.IGNORECASE)


@functools.cache
def library() -> str:
    """Return a JavaScript module that defines `window.vegaEmbed`.

    It is kept in the user's cache folder; one that cannot be written only costs time.
    """
    path = (
        platformdirs.user_cache_path("mnistbench")
        / f"vega-{importlib.metadata.version('vl-convert-python')}.js"
    )
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
