from pathlib import Path

import pytest
import torch

from clip_scaling.train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint


def _save(folder, step):
    save_checkpoint(folder, Checkpoint(step, {"value": torch.full((100,), float(step))}, {"seconds": step / 2}))


def test_last_two_are_kept(tmp_path):
    for step in (10, 20, 30):
        _save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "000000020.json", "000000020.safetensors", "000000030.json", "000000030.safetensors"]
    found = load_checkpoint(tmp_path)
    assert found.step == 30 and found.carried == {"seconds": 15.0} and bool((found.tensors["value"] == 30).all())


@pytest.mark.parametrize("harm", [
    lambda path: path.write_bytes(path.read_bytes()[:-7]),
    lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\x01"),
    lambda path: path.unlink(),
    lambda path: path.with_suffix(".json").write_text('{"step": 30'),
    lambda path: path.with_suffix(".json").write_text("[" * 500_000),
    lambda path: path.with_suffix(".json").write_bytes(b"\xff\xfe"),
    lambda path: path.with_suffix(".json").write_text("[]"),
    lambda path: path.with_suffix(".json").unlink(),
])
def test_a_broken_one_is_passed_over(tmp_path, harm):
    _save(tmp_path, 20)
    _save(tmp_path, 30)
    harm(tmp_path / "000000030.safetensors")
    assert load_checkpoint(tmp_path).step == 20


def test_none(tmp_path):
    assert load_checkpoint(tmp_path / "nowhere") is None


def test_bytes_harmed_while_written_are_noticed(tmp_path, monkeypatch):
    """What vouches is the hash of what was meant, not of what the disk gave back."""
    _save(tmp_path, 20)
    true_write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda self, content: true_write(self, content[:-1] + b"\x01"))
    _save(tmp_path, 30)
    assert load_checkpoint(tmp_path).step == 20
