"""Sphinx extension of the book: pages that open without network and without a server, with a clean console."""

import re
from pathlib import Path

from sphinx.transforms.post_transforms.images import ImageConverter


# Jupyter Book's writer wraps code and its output in environments of its own class.
_PREAMBLE = r"""
\usepackage{booktabs,caption,float,array,longtable}
\newenvironment{sphinxVerbatimInput}{}{}
\newenvironment{sphinxVerbatimOutput}{}{}
"""


class SvgToPdf(ImageConverter):
    """LaTeX takes no SVG. Vega's own converter makes PDFs of them; ImageMagick is not needed."""

    default_priority = 150  # before Sphinx's converter, which calls ImageMagick
    conversion_rules = [("image/svg+xml", "application/pdf")]

    def is_available(self) -> bool:
        return True

    def convert(self, _from: str, _to: str) -> bool:
        import vl_convert

        Path(_to).write_bytes(vl_convert.svg_to_pdf(Path(_from).read_text(encoding="utf-8")))
        return True


def setup(app) -> dict:
    app.add_post_transform(SvgToPdf)
    app.connect("config-inited", _plain_latex, priority=900)
    app.connect("html-page-context", _drop_thebe, priority=900)
    app.connect("build-finished", _mend_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _plain_latex(app, config) -> None:
    """Sphinx's own LaTeX class: Jupyter Book's wants bbm, which few installations have, for letters that no page uses."""
    config.latex_theme, config.latex_use_xindy = "manual", False  # the book has no index to sort
    config.latex_documents = [("index", "clip-scaling-laws.tex", config.project, config.author, "manual")]
    config.latex_elements["preamble"] = _PREAMBLE
    config.latex_elements["extraclassoptions"] = "oneside,openany"


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
            # Sphinx calls the bibliography a list, and its entries no items of one.
            kept = kept.replace('<div role="list" class="citation-list">', '<div class="citation-list">')
            if kept != text:
                page.write_text(kept, encoding="utf-8")
