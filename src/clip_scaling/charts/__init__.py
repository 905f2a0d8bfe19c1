"""Charts as pure functions: a table in, an Altair chart out; `save` writes rows, specification and pictures."""

import sys


def spare_grammar() -> None:
    """Import jsonschema without its check of internationalised addresses.

    That check compiles a grammar for 2.5 s in every process, and Altair, papermill and Jupyter never use it;
    jsonschema does without where the grammar is missing.
    """
    if "jsonschema" in sys.modules or "rfc3987_syntax" in sys.modules:
        return
    sys.modules["rfc3987_syntax"] = None
    try:
        import jsonschema  # noqa: F401 - imported for its effect
    finally:
        del sys.modules["rfc3987_syntax"]


spare_grammar()
