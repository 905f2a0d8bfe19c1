"""`clip-scaling published`: what it writes, twice the same, and how bad data ends."""

import shutil
import subprocess
import sys

import pytest


@pytest.fixture
def project(tmp_path, published, monkeypatch):
    """A project of its own with the published data, not yet reproduced."""
    shutil.copytree(published.folder, tmp_path / "data" / "published")
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    monkeypatch.setenv("CLIP_SCALING_ROOT", str(tmp_path))
    return tmp_path


def _bytes(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_tables_are_written_byte_for_byte_the_same(project, clip_scaling):
    first = clip_scaling("published")
    assert (first.code, first.out) == (0, "")
    assert "1513 cells, 883 within printed rounding, 68 not, 562 without public numbers" in first.err
    out = project / "results" / "published"
    written = _bytes(out)
    assert len(written) == 3 + 27
    assert clip_scaling("published").code == 0
    assert _bytes(out) == written


def test_claims_are_written_and_a_changed_number_stops_the_stage(project, clip_scaling):
    path = project / "data" / "published" / "claims.csv"
    path.write_text(path.read_text().replace(",-0.11,", ",-0.12,", 1))
    ended = clip_scaling("published", "claims")
    assert ended.code == 2
    assert "claim 1 is fails (-0.11 against -0.12), declared reproduced" in ended.err
    assert "Traceback" not in ended.err
    claims = (project / "results" / "published" / "claims.csv").read_text()
    assert claims.startswith("id,where,claim,paper,recomputed,verdict,note\n")
    assert (project / "results" / "published" / "errata.csv").is_file()


def test_missing_data_is_told_and_nothing_is_written(project, clip_scaling):
    (project / "data" / "published" / "training.csv").unlink()
    ended = clip_scaling("published")
    assert ended.code == 2
    assert "training.csv: no such table" in ended.err
    assert not (project / "results").exists()


def test_nothing_of_the_stage_loads_torch():
    code = (
        "import sys; from clip_scaling.published import command, data, frames, table_check, errata; "
        "from clip_scaling.published.claims import ledger; from clip_scaling.fit import estimate, heldout; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=300).returncode == 0
