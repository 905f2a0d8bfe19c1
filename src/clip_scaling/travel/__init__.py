"""A study trained on a machine that is available for minutes and has no network: data there, progress to and fro."""
