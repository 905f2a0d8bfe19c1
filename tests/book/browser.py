"""Open the pages of a built book in headless Chromium without network, and say what is wrong with them."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@dataclass
class Page:
    """What a page did: requests that left it, console errors, charts drawn, not drawn and cut off, faults of accessibility."""

    name: str
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    drawn: int = 0
    not_drawn: list[str] = field(default_factory=list)
    marks: int = 0
    cut: list[str] = field(default_factory=list)
    width: int = 0
    milliseconds: float = 0
    faults: list[str] = field(default_factory=list)


def visit(html: Path, names: list[str], *, width: int = 1280, theme: str = "light", axe: bool = False) -> list[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, offline=True)
        pages = [_visit(context, html, name, axe) for name in names]
        browser.close()
    return pages


def _visit(context, html: Path, name: str, axe: bool) -> Page:
    page, seen = context.new_page(), Page(name)
    page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda problem: seen.errors.append(str(problem)))
    page.on(
        "request",
        lambda request: (
            seen.requests.append(request.url) if not request.url.startswith(("file:", "data:", "blob:")) else None
        ),
    )
    page.goto((html / name).as_uri())
    page.wait_for_function("[...document.querySelectorAll('.cs-figure')].every(f => f.dataset.drawn)", timeout=20_000)
    seen.milliseconds = page.evaluate("performance.now()")
    figures = page.evaluate(
        "[...document.querySelectorAll('.cs-figure')].map(f => [f.id, f.dataset.drawn, "
        "f.querySelectorAll('.cs-chart svg path[aria-roledescription], .cs-chart svg .mark-symbol path, "
        ".cs-chart svg .mark-rect path, .cs-chart svg .mark-line path').length])"
    )
    seen.drawn = sum(drawn == "yes" and marks > 0 for _, drawn, marks in figures)
    seen.not_drawn = [name for name, drawn, marks in figures if drawn != "yes" or not marks]
    seen.cut = page.evaluate(
        "[...document.querySelectorAll('.cs-figure')].filter(f => { const c = f.querySelector('.cs-chart'); "
        "return c.scrollWidth > c.clientWidth + 1; }).map(f => f.id)"
    )
    seen.width = page.evaluate("document.documentElement.scrollWidth")
    if axe:
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(page, options={"preload": False}).response["violations"]
        seen.faults = [
            f"{fault['id']}: {fault['nodes'][0]['html'][:150]}"
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]
    page.close()
    return seen
