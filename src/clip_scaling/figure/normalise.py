"""Make an executed notebook byte for byte the same in every execution of the same cells."""

import re

_DROPPED = ("papermill", "execution")


def normalise(notebook):
    """Fix cell ids, drop run times and papermill's records in place, and return the notebook."""
    notebook.metadata = {
        key: notebook.metadata[key] for key in ("kernelspec", "language_info") if key in notebook.metadata
    }
    notebook.metadata.get("language_info", {}).pop("version", None)
    for index, cell in enumerate(notebook.cells):
        cell.id = f"cell-{index:03d}"
        for key in _DROPPED:
            cell.metadata.pop(key, None)
        if "injected-parameters" in cell.metadata.get("tags", []):
            cell.metadata["tags"] = ["injected-parameters", "remove-cell"]  # no reader's business
        if cell.cell_type == "code":
            cell.outputs = [_output(output, index) for output in cell.outputs if output.get("name") != "stderr"]
    return notebook


def _output(output, index: int):
    output.get("metadata", {}).pop("papermill", None)
    data = output.get("data", {})
    if "text/html" in data:
        data["text/html"] = _stable("".join(data["text/html"]), index)
    return output


def _stable(html: str, index: int) -> str:
    """Altair names each output by a random number."""
    for count, name in enumerate(dict.fromkeys(re.findall(r"altair-viz-[0-9a-f]{32}", html))):
        html = html.replace(name, f"altair-viz-{index}-{count}")
    return html
