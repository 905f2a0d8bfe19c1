import functools
import hashlib
import http.server
import json
import random
import re
import threading
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clip_scaling.core.errors import UserError
from clip_scaling.subset.at_scale import hash_of, kept_keys, select
from clip_scaling.subset.at_scale_metadata import Filters


@pytest.fixture
def pool(tmp_path):
    """12 shards of 200 rows each as img2dataset writes them; a tenth of the downloads failed."""
    draw, rows = random.Random(0), []
    for shard in range(12):
        table = [
            {"key": f"{shard:05d}{row:04d}", "status": "failed_to_download" if draw.random() < 0.1 else "success",
             "original_width": draw.randint(50, 900), "original_height": draw.randint(50, 900), "width": 256,
             "height": 256, "similarity": draw.random(), "LANGUAGE": draw.choice(["en", "de", None])}
            for row in range(200)
        ]
        pq.write_table(pa.Table.from_pylist(table), tmp_path / f"{shard:05d}.parquet")
        rows += [row | {"shard": str(tmp_path / f"{shard:05d}.tar")} for row in table]
    return tmp_path, rows


def _draw(pool, samples, name="s", **options):
    return select(f"{pool[0]}/*.parquet", name=name, family="LAION", samples=samples, output=pool[0] / "out",
                  quiet=True, **options)


def _keys(selection):
    manifest = json.load(open(selection.manifest))
    folder = selection.manifest.rpartition("/")[0]
    listed = [(entry, kept_keys(f"{folder}/{entry['keys']}", entry["path"])) for entry in manifest["shards"]]
    assert all(entry["samples"] == len(keys) for entry, keys in listed)
    return {(entry["path"], key) for entry, keys in listed for key in keys}


def _expected(rows, samples, seed, keep=lambda row: True):
    passing = [row for row in rows if row["status"] == "success" and keep(row)]
    passing.sort(key=lambda row: int.from_bytes(hashlib.md5(f"{seed}:{row['key']}".encode()).digest()[:8], "little"))
    return {(row["shard"], row["key"]) for row in passing[:samples]}


def test_the_hash_is_the_same_in_python_and_in_duckdb():
    for key in ("000000001", "ü/ß", ""):
        assert hash_of(key, 7) == duckdb.execute("SELECT md5_number_upper('7:' || ?)", [key]).fetchone()[0]


def test_keys_are_those_that_sorting_everything_would_draw(pool):
    selection = _draw(pool, 700, seed=3)
    assert selection.samples == 700 and selection.rows == 2400
    assert _keys(selection) == _expected(pool[1], 700, 3)


def test_subsets_nest_whatever_the_threads_and_chunks(pool, monkeypatch):
    large = _keys(_draw(pool, 1500, "large", threads=2))
    monkeypatch.setattr("clip_scaling.subset.at_scale_metadata.FILES_PER_CHUNK", 5)
    small = _keys(_draw(pool, 300, "small", threads=1))
    assert small < large and len(small) == 300
    assert _keys(_draw(pool, 300, "again", threads=2)) == small
    assert _keys(_draw(pool, 300, "other", seed=1)) != small


def test_a_coarse_histogram_draws_the_same_keys(pool, monkeypatch):
    monkeypatch.setattr("clip_scaling.subset.at_scale.BUCKET_BITS", 3)  # the last bin is wide: much to trim
    assert _keys(_draw(pool, 701)) == _expected(pool[1], 701, 0)


def test_a_key_that_stands_twice_is_counted_exactly(tmp_path):
    for shard in range(3):
        pq.write_table(pa.table({"key": [f"{n:04d}" for n in range(50)]}), tmp_path / f"{shard}.parquet")
    assert len(_keys(_draw((tmp_path,), 100))) == 100


def test_filters_keep_what_they_say_and_unknown_values_do_not_pass(pool):
    filters = Filters(min_width=200, min_height=150, max_aspect=2.0, min_similarity=0.3, languages=("en",))

    def keep(row):
        width, height = row["original_width"], row["original_height"]
        return (width >= 200 and height >= 150 and max(width, height) <= 2 * min(width, height)
                and row["similarity"] >= 0.3 and row["LANGUAGE"] == "en")

    selection = _draw(pool, 150, filters=filters)
    assert selection.passed == sum(row["status"] == "success" and keep(row) for row in pool[1])
    assert _keys(selection) == _expected(pool[1], 150, 0, keep)


def test_whole_shards_nest_and_reach_the_number_asked_for(pool):
    taken = {}
    for samples in (500, 1200):
        selection = _draw(pool, samples, f"s{samples}", by="shards")
        manifest = json.load(open(selection.manifest))
        sizes = [entry["samples"] for entry in manifest["shards"]]
        assert sum(sizes) == selection.samples >= samples > sum(sizes[:-1])
        taken[samples] = [entry["path"] for entry in manifest["shards"]]
    assert taken[1200][: len(taken[500])] == taken[500]


def test_no_more_than_the_pool_holds(pool):
    with pytest.raises(UserError, match="can be drawn; ask for fewer"):
        _draw(pool, 2401)
    assert not list(pool[0].glob("out/.*")), "working folders stay behind"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "shards", "filters": Filters(min_width=1)}, "filters do not go with whole shards"),
        ({"filters": Filters(languages=("en",))}, "no column language to filter by"),
    ],
)
def test_what_cannot_be_done_is_said(tmp_path, options, said):
    pq.write_table(pa.table({"key": ["a", "b"]}), tmp_path / "0.parquet")
    with pytest.raises(UserError, match=said):
        _draw((tmp_path,), 1, **options)


def test_bad_metadata_is_named(tmp_path):
    with pytest.raises(UserError, match="no Parquet metadata match"):
        _draw((tmp_path,), 1)
    (tmp_path / "0.parquet").write_text("no parquet")
    with pytest.raises(UserError, match="0.parquet: is no Parquet file"):
        _draw((tmp_path,), 1)
    pq.write_table(pa.table({"url": ["a"]}), tmp_path / "0.parquet")
    with pytest.raises(UserError, match="has no column `key`"):
        _draw((tmp_path,), 1)


def test_a_key_that_stands_twice_in_a_shard_is_one_pair_and_is_counted(tmp_path):
    for shard in range(3):
        keys = [f"{shard}{n:03d}" for n in range(50)]
        pq.write_table(pa.table({"key": keys + keys[:4]}), tmp_path / f"{shard}.parquet")
    drawn = _draw((tmp_path,), 150)
    assert (drawn.samples, drawn.passed, drawn.rows, drawn.repeated) == (150, 150, 162, 12)
    assert len(_keys(drawn)) == 150
    shards = _draw((tmp_path,), 100, by="shards")
    assert (shards.samples, shards.repeated) == (100, 12)
    with pytest.raises(UserError, match="151 samples asked for, 150 of 162 rows"):
        _draw((tmp_path,), 151)


@pytest.mark.parametrize("pattern", [".", "*.parquet", "file://{}"])
def test_a_folder_stands_for_its_metadata_and_shards_are_absolute(pool, pattern, monkeypatch):
    monkeypatch.chdir(pool[0])
    drawn = select(pattern.format(pool[0]), name="s", family="f", samples=700, output=pool[0] / "out", quiet=True)
    assert _keys(drawn) == _expected(pool[1], 700, 0)


@pytest.mark.parametrize(
    ("columns", "filters", "said"),
    [
        ({"key": [1, 2]}, Filters(), "0.parquet: column `key` holds BIGINT, not text"),
        ({"key": ["a"], "similarity": ["x"]}, Filters(min_similarity=0.3), "similarity holds VARCHAR, not numbers"),
        ({"key": ["a", "b"], "language": [1, 2]}, Filters(languages=("en",)), "language holds BIGINT, not text"),
    ],
)
def test_columns_of_another_type_are_said(tmp_path, columns, filters, said):
    pq.write_table(pa.table(columns), tmp_path / "0.parquet")
    with pytest.raises(UserError, match=said):
        _draw((tmp_path,), 1, filters=filters)


def test_a_similarity_that_is_no_number_does_not_pass(tmp_path):
    pq.write_table(pa.table({"key": ["a", "b"], "similarity": [float("nan"), 0.5]}), tmp_path / "0.parquet")
    assert _draw((tmp_path,), 1, filters=Filters(min_similarity=0.3)).passed == 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--name", "a b"], "--name 'a b' is no name; take letters"),
        (["--name", "../x"], "--name '../x' is no name"),
        (["--max-aspect", "nan"], "--max-aspect nan keeps nothing"),
        (["--min-similarity", "inf"], "--min-similarity inf is no similarity"),
    ],
)
def test_options_that_mean_nothing_are_refused(pool, clip_scaling, words, said):
    ended = clip_scaling("subset", "--at-scale", pool[0], "--samples", 3, "--output", pool[0] / "out", *words)
    assert ended.code == 2 and said in ended.err and not (pool[0] / "out").exists()


class _Ranges(http.server.SimpleHTTPRequestHandler):
    """A server of files that lists folders and serves parts of files, as object stores do."""

    def do_GET(self):
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        if not wanted:
            return super().do_GET()
        start, end = map(int, wanted.groups())
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{min(end, len(content) - 1)}/{len(content)}")
        self.send_header("Content-Length", str(len(content[start:end + 1])))
        self.end_headers()
        self.wfile.write(content[start:end + 1])

    def log_message(self, *_):
        pass


class _Whole(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def serve(pool):
    running = []

    def start(kind):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(kind, directory=str(pool[0])))
        running.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def test_metadata_are_read_over_http(pool, serve):
    drawn = select(f"{serve(_Ranges)}/*.parquet", name="s", family="f", samples=700, output=pool[0] / "o", quiet=True)
    assert {key for _, key in _keys(drawn)} == {key for _, key in _expected(pool[1], 700, 0)}
    assert all(shard.startswith("http://127.0.0.1:") for shard, _ in _keys(drawn))


def test_a_server_without_ranges_is_said(pool, serve):
    with pytest.raises(UserError, match="range requests.*an HTTP server must serve parts of files"):
        select(f"{serve(_Whole)}/*.parquet", name="s", family="f", samples=700, output=pool[0] / "o", quiet=True)


def test_metadata_on_remote_storage_is_read_through_fsspec(pool):
    import fsspec

    memory = fsspec.filesystem("memory")
    for path in pool[0].glob("*.parquet"):
        memory.pipe(f"/laion/{path.name}", path.read_bytes())
    selection = select("memory://laion/*.parquet", name="s", family="LAION", samples=700, output=pool[0] / "remote",
                       quiet=True)
    expected = {(f"memory://laion/{shard.rpartition('/')[2]}", key) for shard, key in _expected(pool[1], 700, 0)}
    assert {(shard.replace("memory:///", "memory://"), key) for shard, key in _keys(selection)} == expected


def _tars(pool):
    """Tars beside the metadata, with the successes, each a caption and a picture of a few bytes."""
    import io
    import tarfile

    for shard in {row["shard"] for row in pool[1]}:
        with tarfile.open(shard, "w") as tar:
            for row in pool[1]:
                if row["shard"] == shard and row["status"] == "success":
                    for kind in ("jpg", "txt"):
                        info, body = tarfile.TarInfo(f"{row['key']}.{kind}"), f"{kind} of {row['key']}".encode()
                        info.size = len(body)
                        tar.addfile(info, io.BytesIO(body))


def test_the_command_draws_and_copies_only_when_asked(pool, clip_scaling):
    import tarfile

    _tars(pool)
    words = ["subset", "--at-scale", f"{pool[0]}/*.parquet", "--samples", 300, "--name", "s", "--json"]
    said = json.loads(clip_scaling(*words, "--output", pool[0] / "out").out)
    assert (said["samples"], said["rows"]) == (300, 2400) and not list((pool[0] / "out").rglob("*.tar"))
    assert clip_scaling(*words, "--output", pool[0] / "out", "--copy", pool[0] / "copy").code == 0
    names = [name for tar in (pool[0] / "copy").glob("*.tar") for name in tarfile.open(tar).getnames()]
    drawn = {key for _, key in _expected(pool[1], 300, 0)}
    assert sorted(names) == sorted(f"{key}.{kind}" for key in drawn for kind in ("jpg", "txt"))
    manifest = json.load(open(pool[0] / "copy" / "s.json"))
    assert manifest["samples"] == 300 == sum(entry["samples"] for entry in manifest["shards"])


def test_a_tar_that_is_not_that_of_its_metadata_is_not_copied(pool, clip_scaling):
    _tars(([], [row | {"key": "x" + row["key"]} for row in pool[1]]))
    ended = clip_scaling("subset", "--at-scale", f"{pool[0]}/*.parquet", "--samples", 300, "--output", pool[0] / "out",
                         "--copy", pool[0] / "copy")
    assert ended.code == 2 and "drawn pairs, such as" in ended.err


def test_the_benchmark_removes_what_it_made():
    import tempfile
    from pathlib import Path

    from clip_scaling.subset.bench import bench_subset

    before = set(Path(tempfile.gettempdir()).glob("clip-metadata-*"))
    measured = bench_subset(20_000)
    assert [one.samples for one in measured] == [4000, 1000] and all(one.peak_gib < 4 for one in measured)
    assert set(Path(tempfile.gettempdir()).glob("clip-metadata-*")) <= before
