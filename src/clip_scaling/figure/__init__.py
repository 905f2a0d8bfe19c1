"""Execute the notebooks that draw figures and tables: `clip-scaling figure`."""

from .command import add_arguments, run

__all__ = ["add_arguments", "run"]
