"""Reproducible scaling laws for contrastive language-image learning, as an artifact that runs."""

import shutil
import sys
from pathlib import Path

__version__ = "0.1.0"

# On a disk with hardly any room CPython leaves truncated bytecode, which then fails every later start.
if shutil.disk_usage(Path(__file__).parent).free < 1 << 24:
    sys.dont_write_bytecode = True
