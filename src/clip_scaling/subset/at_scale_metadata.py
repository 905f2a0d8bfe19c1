"""Queries over img2dataset's Parquet metadata, a chunk of files at a time, in bounded memory."""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UserError
from ..core.files import atomic_path
from .at_scale_remote import is_remote, scheme, told_in_a_sentence

FILES_PER_CHUNK = 256  # about 2.5 million rows of img2dataset's default shards
ROWS_PER_CHUNK = 2_500_000
MEMORY_LIMIT = "2GB"


@dataclass(frozen=True)
class Filters:
    """Pairs to keep. Sizes in pixels, of the original image where img2dataset recorded it; None: not asked."""

    min_width: int | None = None
    min_height: int | None = None
    max_aspect: float | None = None  # longer side over shorter side
    min_similarity: float | None = None
    languages: tuple[str, ...] = ()

    @property
    def active(self) -> bool:
        return any(value not in (None, ()) for value in vars(self).values())


@dataclass(frozen=True)
class Column:
    """A column of the metadata: its name as written, and DuckDB's type."""

    name: str
    kind: str


def quoted(text: str) -> str:
    """`text` as an SQL string."""
    return "'" + text.replace("'", "''") + "'"


class Metadata:
    """The Parquet files that match `pattern` (a local glob, or a URL that fsspec can list), and the rows that pass."""

    def __init__(self, pattern: str, filters: Filters, seed: int, *, threads: int | None = None, quiet: bool = False):
        import duckdb

        self.pattern, self.seed, self.quiet = pattern, seed, quiet
        # No network for extensions: what is asked of a remote store goes through fsspec.
        config = {"memory_limit": MEMORY_LIMIT, "preserve_insertion_order": False,
                  "autoinstall_known_extensions": False}
        if threads:
            config["threads"] = threads
        self.connection = duckdb.connect(config=config)
        self.connection.execute("SET enable_progress_bar = false")  # it would go to stdout
        self.files = self._expand(pattern)
        columns = self._columns(self.files[0])
        self._condition = _condition(filters, columns, self.files[0])
        self._hash = f"md5_number_upper('{int(seed)}:' || key)"

    def _expand(self, pattern: str) -> list[str]:
        """Files that `pattern` names: absolute paths, or URLs. A folder stands for the Parquet files in it."""
        import glob

        if is_remote(pattern):
            found = self._listed(pattern)
        else:
            pattern = str(Path(pattern.removeprefix("file://")).expanduser().absolute())
            pattern = f"{glob.escape(pattern)}/*.parquet" if Path(pattern).is_dir() else pattern
            found = [str(Path(name)) for name in glob.glob(pattern, recursive=True)]
        found = [name for name in found if name.endswith(".parquet")]
        if not found:
            raise UserError("no Parquet metadata match", where=pattern, mend="give a glob such as 'laion/*.parquet'"
                            + (", and over HTTP a server that lists its folders" if "*" in pattern else ""))
        return sorted(found)

    def _listed(self, pattern: str) -> list[str]:
        with told_in_a_sentence(pattern):
            import fsspec

            system, path = fsspec.core.url_to_fs(pattern)
            if type(system).modified is fsspec.AbstractFileSystem.modified:  # HTTP's has none, and DuckDB asks for it
                system.modified = lambda _: datetime.datetime.fromtimestamp(0, datetime.timezone.utc)
            self.connection.register_filesystem(system)
            found = system.glob(path)
            if not found:
                system.info(path.partition("*")[0])  # says why, where the storage cannot be asked
        return [f"{scheme(pattern)}://{name.split('://')[-1]}" for name in found]

    def _columns(self, file: str) -> dict[str, Column]:
        import duckdb

        try:
            rows = self.connection.execute(f"DESCRIBE SELECT * FROM read_parquet({quoted(file)})").fetchall()
        except duckdb.InvalidInputException as error:
            raise UserError(f"is no Parquet file ({_reason(error)})", where=file, mend="fetch it again") from None
        except duckdb.Error as error:
            raise UserError(f"cannot be read ({_reason(error)})", where=file, mend=_mend(file)) from None
        columns = {name.lower(): Column(name, kind) for name, kind, *_ in rows}
        if "key" not in columns or columns["key"].kind != "VARCHAR":
            held = f"column `key` holds {columns['key'].kind}, not text" if "key" in columns else "has no column `key`"
            raise UserError(held, where=file, mend="give the metadata that img2dataset wrote")
        return columns

    def chunks(self, what: str) -> Iterator[list[str]]:
        """Files in groups that hold about ROWS_PER_CHUNK rows (by the first file), with a progress bar on stderr."""
        from tqdm import tqdm

        rows = self._rows(self.files[:1]) or 1
        step = max(1, min(FILES_PER_CHUNK, int(ROWS_PER_CHUNK // rows)))
        starts = range(0, len(self.files), step)
        for start in tqdm(starts, desc=what, unit="part", disable=self.quiet or None):
            yield self.files[start:start + step]

    def _source(self, files: list[str]) -> str:
        return f"read_parquet([{', '.join(map(quoted, files))}], filename=true)"

    def _fetch(self, sql: str, files: list[str]):
        import duckdb

        try:
            return self.connection.execute(sql)
        except duckdb.Error as error:
            where = files[0] if len(files) == 1 else f"{files[0]} ... {files[-1]}"
            raise UserError(f"cannot be read ({_reason(error)})", where=where, mend=_mend(files[0])) from None

    def hashes(self, files: list[str]):
        """Hashes (uint64) of the pairs that pass, in no order, the rows read, and the rows that repeat a pair."""
        import numpy as np

        rows = f"SELECT filename, key FROM {self._source(files)} WHERE {self._condition}"
        found = self._fetch(f"SELECT {self._hash} AS h FROM ({rows})", files).fetchnumpy()["h"]
        passed = len(found)
        if len(np.unique(found)) < passed:  # a key stands twice: in one shard it is one pair, in two it is two
            distinct = f"SELECT DISTINCT * FROM ({rows})"
            found = self._fetch(f"SELECT {self._hash} AS h FROM ({distinct})", files).fetchnumpy()["h"]
        return found, self._rows(files), passed - len(found)

    def _rows(self, files: list[str]) -> int:
        names = ", ".join(map(quoted, files))
        return int(self._fetch(f"SELECT sum(num_rows) FROM parquet_file_metadata([{names}])", files).fetchone()[0])

    def write_keys(self, files: list[str], bound: int, path: Path) -> None:
        """Write (shard: path of its tar, key) of the rows that pass with a hash of `bound` or less, as Parquet."""
        shard = "regexp_replace(filename, '[.]parquet$', '.tar')"
        condition = f"{self._condition} AND {self._hash} <= {bound}"
        query = f"SELECT DISTINCT {shard} AS shard, key FROM {self._source(files)} WHERE {condition}"
        self._fetch(_copy(query, path), files)

    def trim(self, parts: list[Path], start: int, samples: int) -> int:
        """Drop the largest hashes, all of them `start` or more, until `samples` rows are left; return the largest kept.

        Rows of one and the same hash (a key that stands twice) are kept or dropped by key, then by shard.
        """
        total, border = 0, []
        for part in parts:
            source = f"read_parquet({quoted(str(part))})"
            total += self._fetch(f"SELECT count(*) FROM {source}", [str(part)]).fetchone()[0]
            sql = f"SELECT h, key, shard FROM (SELECT {self._hash} AS h, key, shard FROM {source}) WHERE h >= {start}"
            border += [(*row, part) for row in self._fetch(sql, [str(part)]).fetchall()]
        border.sort()
        keep = len(border) - (total - samples)
        for part in {row[3] for row in border[keep:]}:
            dropped = [row for row in border[keep:] if row[3] == part]
            self._drop(part, dropped)
        return border[keep - 1][0]

    def _drop(self, part: Path, dropped: list[tuple]) -> None:
        pairs = ", ".join(f"({quoted(key)}, {quoted(shard)})" for _, key, shard, _ in dropped)
        with atomic_path(part) as temporary:
            source = f"read_parquet({quoted(str(part))})"
            sql = f"SELECT * FROM {source} WHERE (key, shard) NOT IN ({pairs})"
            self._fetch(_copy(sql, temporary), [str(part)])

    def kept(self, parts: list[Path], folder: str) -> list[dict]:
        """One entry a shard: path of the tar, pairs kept, and the file (in `folder`) that lists their keys."""
        entries = []
        for part in parts:
            sql = f"SELECT shard, count(*) FROM read_parquet({quoted(str(part))}) GROUP BY shard ORDER BY shard"
            for shard, count in self._fetch(sql, [str(part)]).fetchall():
                entries.append(_shard(shard, count) | {"keys": f"{folder}/{part.name}"})
        return entries

    def shard_counts(self, files: list[str]) -> tuple[list[dict], int, int]:
        """One entry a shard with the number of its pairs, the rows read, and the rows that repeat a pair."""
        sql = (f"SELECT filename, count(DISTINCT key), count(*) FROM {self._source(files)} WHERE {self._condition} "
               "GROUP BY filename")
        found = self._fetch(sql, files).fetchall()
        shards = [_shard(file.removesuffix(".parquet") + ".tar", pairs) for file, pairs, _ in found]
        return shards, self._rows(files), sum(rows - pairs for _, pairs, rows in found)


def _copy(query: str, path: Path) -> str:
    # Small row groups, sorted by shard: a loader's worker reads the keys of one shard, not the whole file.
    form = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)"
    return f"COPY (SELECT * FROM ({query}) ORDER BY shard, key) TO {quoted(str(path))} {form}"


def _shard(path: str, samples: int) -> dict:
    return {"path": path, "sha256": None, "samples": int(samples)}


def _condition(filters: Filters, columns: dict[str, Column], file: str) -> str:
    """SQL condition of the rows that are in the tar and pass the filters; a row without a value does not pass."""
    parts = ["key IS NOT NULL"]
    if "status" in columns:  # img2dataset lists failed downloads, too; those are in no tar
        parts.append("status = 'success'")

    def column(*names: str, text: bool = False) -> str:
        found = next((columns[name] for name in names if name in columns), None)
        if found is None:
            raise UserError(f"no column {' or '.join(names)} to filter by", where=file, mend="drop that filter")
        if (found.kind == "VARCHAR") != text:
            raise UserError(f"column {found.name} holds {found.kind}, not {'text' if text else 'numbers'}", where=file,
                            mend="drop that filter, or write the metadata again")
        return f'"{found.name}"'

    width = ("original_width", "width")
    height = ("original_height", "height")
    if filters.min_width is not None:
        parts.append(f"{column(*width)} >= {int(filters.min_width)}")
    if filters.min_height is not None:
        parts.append(f"{column(*height)} >= {int(filters.min_height)}")
    if filters.max_aspect is not None:
        sides = f"{column(*width)}, {column(*height)}"
        parts.append(f"greatest({sides}) <= {float(filters.max_aspect)!r} * least({sides})")
    if filters.min_similarity is not None:
        name = column("similarity")
        # To DuckDB, NaN is the largest number.
        parts.append(f"{name} >= {float(filters.min_similarity)!r} AND NOT isnan(CAST({name} AS DOUBLE))")
    if filters.languages:
        parts.append(f"{column('language', text=True)} IN ({', '.join(map(quoted, filters.languages))})")
    return " AND ".join(parts)


def _reason(error: Exception) -> str:
    """DuckDB's first line; of what fsspec raised inside it, the last line of the traceback."""
    lines = str(error).strip().splitlines()
    return (lines[-1] if "Traceback" in str(error) else lines[0])[:200]


def _mend(file: str) -> str:
    if is_remote(file):
        return "check network and credentials; an HTTP server must serve parts of files (range requests)"
    return "every file needs the columns of the first"
