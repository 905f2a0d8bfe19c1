"""A study trained on a machine that is lent for minutes and has no network: data there, progress to and fro."""
