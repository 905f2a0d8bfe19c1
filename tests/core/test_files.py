"""Files are written whole or not at all."""

import multiprocessing
import os
import socket
import stat
import subprocess

import pytest

from clip_scaling.core.files import atomic_folder, atomic_path, digest, sha256, write_json, write_text


def test_failure_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def test_json_refuses_nan_and_digest_ignores_order(tmp_path):
    with pytest.raises(ValueError):
        write_json(tmp_path / "a.json", float("nan"))
    assert not (tmp_path / "a.json").exists()
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


def test_sha256_of_known_bytes(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert sha256(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_bytes_are_on_disk_before_the_rename_and_the_rename_after_it(tmp_path, monkeypatch):
    done = []
    true_fsync, true_replace = os.fsync, os.replace

    def fsync(handle):
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"file of {os.fstat(handle).st_size}")
        true_fsync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", lambda *names: (done.append("rename"), true_replace(*names)))
    write_text(tmp_path / "a.txt", "12345")
    assert done == ["file of 5", "rename", "folder"]


def test_a_folder_takes_the_others_place_whole_or_not_at_all(tmp_path):
    target = tmp_path / "pool"
    with atomic_folder(target) as building:
        (building / "a").write_text("1")
    with pytest.raises(RuntimeError), atomic_folder(target) as building:
        (building / "b").write_text("half")
        raise RuntimeError
    assert os.listdir(target) == ["a"] and os.listdir(tmp_path) == ["pool"]
    with atomic_folder(target) as building:
        (building / "b").write_text("2")
    assert os.listdir(target) == ["b"] and os.listdir(tmp_path) == ["pool"]


def _build_and_wait(target, barrier):
    for _ in range(20):
        with atomic_folder(target) as building:
            barrier.wait()
            for name in "ab":
                (building / name).write_text(str(os.getpid()))
            barrier.wait()


def test_two_processes_that_build_one_folder_leave_a_whole_one(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(2, timeout=60)
    both = [spawn.Process(target=_build_and_wait, args=(tmp_path / "pool", barrier)) for _ in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0] and os.listdir(tmp_path) == ["pool"]
    assert len({(tmp_path / "pool" / name).read_text() for name in "ab"}) == 1


def test_what_a_killed_process_left_goes_and_what_a_living_one_builds_stays(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    stem = f".pool.{socket.gethostname()}."
    dead, dead_old = tmp_path / f"{stem}{ended.pid}.part", tmp_path / f"{stem}{ended.pid}.old.part"
    alive, elsewhere = tmp_path / f"{stem}{os.getppid()}.part", tmp_path / ".pool.other.1.part"
    for folder in (dead, dead_old, alive, elsewhere):
        folder.mkdir()
        (folder / "a").write_text("")
    with atomic_folder(tmp_path / "pool"):
        assert not dead.exists() and not dead_old.exists() and alive.exists() and elsewhere.exists()
