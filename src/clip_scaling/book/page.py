"""Sphinx extension of the book: pages that open without network and without a server, with a clean console."""

import re
from pathlib import Path


def setup(app) -> dict:
    app.connect("html-page-context", _drop_thebe, priority=900)
    app.connect("build-finished", _mend_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _drop_thebe(app, page_name, template, context, doctree) -> None:
    """Thebe would fetch a kernel from the network, and the theme declares its constant twice (a SyntaxError)."""
    if "script_files" in context:
        context["script_files"] = [file for file in context["script_files"] if not _is_thebe(file)]


def _is_thebe(file) -> bool:
    body = getattr(file, "attributes", {}).get("body") or ""
    return "THEBE" in body or "thebe" in str(getattr(file, "filename", file) or "").lower()


def _mend_pages(app, problem) -> None:
    """What the theme leaves to mend in its pages.

    It preloads icon fonts in a way that browsers refuse for a page opened as a file (it loads them anyway), and its
    buttons that unfold the table of contents have no name for a screen reader.
    """
    if problem is None and app.builder.format == "html":
        for page in Path(app.outdir).rglob("*.html"):
            text = page.read_text(encoding="utf-8")
            kept = re.sub(r'<link rel="preload" as="font"[^>]*>\s*', "", text)
            kept = kept.replace("<summary><span", '<summary aria-label="Show or hide the pages below"><span')
            if kept != text:
                page.write_text(kept, encoding="utf-8")
