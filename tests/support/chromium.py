"""A real browser without any network: Debian's Chromium, driven by Playwright."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
AXE = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"

_NO_NETWORK = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-first-run",
    "--no-sandbox",  # as root, in a container, there is none
)


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """Start Chromium, and end it."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_NO_NETWORK))
        try:
            yield started
        finally:
            started.close()


@contextlib.contextmanager
def opened(
    started: Browser, report: Path, *, width: int = 1280, height: int = 900, dark: bool = False
) -> Iterator[tuple[Page, list[str]]]:
    """Open a report from disk; what the browser complains of, or asks the network for, fills the list."""
    context = started.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if dark else "light",
        device_scale_factor=1,
        offline=True,
        bypass_csp=False,
    )
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
    page.on("request", lambda request: _note(request.url, report, complaints))
    try:
        page.goto(report.resolve().as_uri())
        page.wait_for_selector("html[data-ready]", timeout=60_000, state="attached")
        yield page, complaints
    finally:
        context.close()


def _note(url: str, report: Path, complaints: list[str]) -> None:
    if url.partition("#")[0] != report.resolve().as_uri() and not url.startswith("data:"):
        complaints.append(f"request: {url[:200]}")
