"""What pages need in order to draw without network: the Vega bundle and MathJax, from pip packages."""

import json
import shutil
from importlib import resources
from pathlib import Path

from ..core.errors import UserError


def write_vega_bundle(path: Path) -> None:
    """One script with Vega, Vega-Lite and vega-embed, wrapped in a function: its top-level names clash with others.

    `VEGA_DEBUG` names the versions, so that a chart shown by stock Altair finds them here and fetches nothing.
    """
    import altair.vegalite.v6.display as shown
    import vl_convert

    versions = {
        "vega_version": shown.VEGA_VERSION,
        "vegalite_version": shown.VEGALITE_VERSION,
        "vegaembed_version": shown.VEGAEMBED_VERSION,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        "(function(){" + vl_convert.javascript_bundle() + "\n})();\n"
        f"window.VEGA_DEBUG=Object.assign(window.VEGA_DEBUG||{{}},{json.dumps(versions)});\n",
        encoding="utf-8",
    )


def copy_mathjax(folder: Path) -> None:
    """Copy the one self-contained MathJax script. Raises UserError where its package is missing."""
    try:
        source = resources.files("mathjax") / "static/mathjax/es5/tex-svg.js"
    except ModuleNotFoundError:
        raise UserError("django-static-mathjax is not installed", mend="run `make book`, which installs it") from None
    folder.mkdir(parents=True, exist_ok=True)
    with resources.as_file(source) as file:
        shutil.copyfile(file, folder / "tex-svg.js")
