"""Threads of the numerical libraries."""

import os


def one_thread() -> None:
    """One thread, where the user has not said how many. Only before numpy is imported: its libraries read it then."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
