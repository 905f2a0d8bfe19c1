"""Build the Jupyter Book from executed notebooks and committed tables: `clip-scaling book`."""
