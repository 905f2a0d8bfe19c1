from pathlib import Path

import pytest

from clip_scaling.published.data import Published

FOLDER = Path(__file__).parents[2] / "data" / "published"


@pytest.fixture(scope="session")
def published():
    return Published(FOLDER)
