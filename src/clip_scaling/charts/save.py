"""Save a figure whole: plotted rows, Vega-Lite specification, static pictures, and the HTML that a page shows."""

import html
import json
import os
from dataclasses import dataclass
from pathlib import Path

import altair as alt
import pandas as pd

from ..core import paths
from ..core.files import atomic_path, write_text
from . import style
from .html_table import HtmlTable

IN_BOOK = "CLIP_SCALING_BOOK"  # set by stage `figure`: pages bring the scripts that draw


@dataclass(frozen=True)
class Figure:
    """A saved figure; a notebook that ends a cell with it shows chart, caption and downloads."""

    name: str
    study: str
    caption: str
    alt_text: str
    spec: dict
    notebook: str | None = None
    laws: HtmlTable | None = None  # shown below the caption

    def _repr_html_(self) -> str:
        return (
            figure_html(self)
            if os.environ.get(IN_BOOK)
            else f"{frame_html(self.spec)}<p>{html.escape(self.caption)}</p>"
        )

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {"text/html": self._repr_html_(), "text/plain": f"{self.name}: {self.alt_text}"}


@dataclass(frozen=True)
class Shown:
    """A chart and a table for a notebook that a reader runs; nothing is saved."""

    chart: alt.TopLevelMixin
    table: HtmlTable

    def _repr_html_(self) -> str:
        spec = style.specification(self.chart, "Fit of the chosen law.")
        return frame_html(spec) + self.table._repr_html_()


def frame_html(spec: dict, height: int = 480) -> str:
    """A frame that draws `spec` with scripts of its own: for JupyterLab, without network."""
    import vl_convert

    page = (
        f"<div id=chart></div><script>{vl_convert.javascript_bundle()}</script>"
        f"<script>vegaEmbed('#chart', {_json(spec)}, {{actions: false}})</script>"
    )
    return f'<iframe title="chart" srcdoc="{html.escape(page)}" style="width:100%;height:{height}px;border:0"></iframe>'


def _json(spec: dict) -> str:
    return json.dumps(spec, sort_keys=True, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")


def save_figure(
    chart: alt.TopLevelMixin,
    name: str,
    study: str,
    *,
    caption: str,
    rows: pd.DataFrame,
    alt_text: str,
    notebook: str | None = None,
    laws: HtmlTable | None = None,
) -> Figure:
    """Write figures/<study>/<name>.{csv,vl.json,svg,png} and return what displays them.

    `rows` are the plotted rows; `caption` says what is shown, from which stage and table, how many models, and which
    fit and interval; `alt_text` says in a sentence what a reader sees. Pictures are drawn without network.
    """
    import vl_convert

    folder = paths.figures(study)
    spec = style.specification(chart, alt_text)
    _write_rows(rows, folder / f"{name}.csv")
    write_text(folder / f"{name}.vl.json", json.dumps(spec, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    version = ".".join(alt.SCHEMA_VERSION.lstrip("v").split(".")[:2])
    page = {**spec, "background": style.PAGES["light"]}  # a picture may be opened on any ground
    picture = vl_convert.vegalite_to_svg(page, vl_version=version)
    write_text(folder / f"{name}.svg", picture)
    with atomic_path(folder / f"{name}.png") as temporary:
        temporary.write_bytes(vl_convert.svg_to_png(picture))
    return Figure(name, study, caption, alt_text, spec, notebook, laws)


def _write_rows(rows: pd.DataFrame, path: Path) -> None:
    with atomic_path(path) as temporary:
        rows.to_csv(temporary, index=False, lineterminator="\n", float_format="%.10g")


def figure_html(figure: Figure) -> str:
    """The figure as a page embeds it: book/_static/figures.js draws the specification, links are in the same folder."""
    spec = _json(figure.spec)
    name, alt_text = html.escape(figure.name), html.escape(figure.alt_text)
    links = [
        (f"{name}.csv", "rows (CSV)"),
        (f"{name}.vl.json", "specification (Vega-Lite)"),
        (f"{name}.svg", "picture (SVG)"),
    ]
    if figure.notebook:
        links.append((f"{html.escape(figure.notebook)}.ipynb", "notebook"))
    downloads = " ".join(f'<a href="{target}" download>{label}</a>' for target, label in links)
    return (
        f'<figure class="cs-figure" id="figure-{name}" role="group" aria-label="{alt_text}">\n'
        f'<div class="cs-chart" data-name="{name}"></div>\n'
        f'<script type="application/json" class="cs-spec">{spec}</script>\n'
        f'<noscript><img src="{name}.svg" alt="{alt_text}"></noscript>\n'
        f"<figcaption>{html.escape(figure.caption)}\n"
        f'<span class="cs-downloads">Download: {downloads}</span></figcaption>\n</figure>'
        + (f"\n{figure.laws._repr_html_()}" if figure.laws else "")
    )
