"""Queries over img2dataset's Parquet metadata, a chunk of files at a time, in bounded memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..core.errors import UserError
from ..core.files import atomic_path

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
        import glob

        if "://" in pattern:
            import fsspec

            system, path = fsspec.core.url_to_fs(pattern)
            self.connection.register_filesystem(system)
            protocol = pattern.split("://")[0]
            found = [f"{protocol}://{name.split('://')[-1]}" for name in system.glob(path)]
        else:
            found = glob.glob(pattern, recursive=True)
        if not found:
            raise UserError("no Parquet metadata match", where=pattern, mend="give a glob such as 'laion/*.parquet'")
        return sorted(found)

    def _columns(self, file: str) -> dict[str, str]:
        import duckdb

        try:
            rows = self.connection.execute(f"DESCRIBE SELECT * FROM read_parquet({quoted(file)})").fetchall()
        except duckdb.Error as error:
            raise UserError(f"is no Parquet file ({_first_line(error)})", where=file, mend="remove it") from None
        columns = {name.lower(): name for name, *_ in rows}
        if "key" not in columns:
            raise UserError("has no column `key`", where=file, mend="give the metadata that img2dataset wrote")
        return columns

    def chunks(self, what: str) -> Iterator[list[str]]:
        """Files in groups that hold about ROWS_PER_CHUNK rows (by the first file), with a progress bar on stderr."""
        from tqdm import tqdm

        sql = f"SELECT sum(num_rows) FROM parquet_file_metadata({quoted(self.files[0])})"
        rows = self.connection.execute(sql).fetchone()[0] or 1
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
            mend = "every file needs the columns of the first"
            raise UserError(f"cannot be read ({_first_line(error)})", where=where, mend=mend) from None

    def hashes(self, files: list[str]):
        """Hashes (uint64) of the rows that pass, in no order, and the number of rows read."""
        source = self._source(files)
        found = self._fetch(f"SELECT {self._hash} AS h FROM {source} WHERE {self._condition}", files).fetchnumpy()["h"]
        return found, self._rows(files)

    def _rows(self, files: list[str]) -> int:
        names = ", ".join(map(quoted, files))
        return int(self._fetch(f"SELECT sum(num_rows) FROM parquet_file_metadata([{names}])", files).fetchone()[0])

    def write_keys(self, files: list[str], bound: int, path: Path) -> None:
        """Write (shard: path of its tar, key) of the rows that pass with a hash of `bound` or less, as Parquet."""
        shard = "regexp_replace(filename, '[.]parquet$', '.tar')"
        condition = f"{self._condition} AND {self._hash} <= {bound}"
        query = f"SELECT {shard} AS shard, key FROM {self._source(files)} WHERE {condition}"
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

    def shard_counts(self, files: list[str]) -> tuple[list[dict], int]:
        """One entry a shard with the number of its pairs, and the number of rows read."""
        sql = f"SELECT filename, count(*) FROM {self._source(files)} WHERE {self._condition} GROUP BY filename"
        found = self._fetch(sql, files).fetchall()
        return [_shard(file.removesuffix(".parquet") + ".tar", count) for file, count in found], self._rows(files)


def _copy(query: str, path: Path) -> str:
    # Small row groups, sorted by shard: a loader's worker reads the keys of one shard, not the whole file.
    form = "(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 20480)"
    return f"COPY (SELECT * FROM ({query}) ORDER BY shard, key) TO {quoted(str(path))} {form}"


def _shard(path: str, samples: int) -> dict:
    return {"path": path, "sha256": None, "samples": int(samples)}


def _condition(filters: Filters, columns: dict[str, str], file: str) -> str:
    """SQL condition of the rows that are in the tar and pass the filters; a row without a value does not pass."""
    parts = ["key IS NOT NULL"]
    if "status" in columns:  # img2dataset lists failed downloads, too; those are in no tar
        parts.append("status = 'success'")

    def column(*names: str) -> str:
        for name in names:
            if name in columns:
                return '"' + columns[name] + '"'
        raise UserError(f"no column {' or '.join(names)} to filter by", where=file, mend="drop that filter")

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
        parts.append(f"{column('similarity')} >= {float(filters.min_similarity)!r}")
    if filters.languages:
        parts.append(f"{column('language')} IN ({', '.join(map(quoted, filters.languages))})")
    return " AND ".join(parts)


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
