"""Shards on remote storage: any URL that fsspec opens (http, https, s3, gs ...); shell pipes only on request."""

import contextlib
import errno
import hashlib
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from ..core import paths
from ..core.errors import UserError
from ..core.files import atomic_path

_SCHEME = re.compile(r"^(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):")


def scheme(url: str) -> str | None:
    """`s3` of "s3://bucket/0.tar", `pipe` of "pipe:cat 0.tar", None for a path."""
    match = _SCHEME.match(url)
    return match["scheme"].lower() if match else None


def is_remote(url: str) -> bool:
    return scheme(url) not in (None, "file")


def refuse_pipe(url: str, allow_pipe: bool = False) -> None:
    """Raise UserError for `pipe:` URLs, which run a shell command, unless they were asked for."""
    if scheme(url) == "pipe" and not allow_pipe:
        raise UserError("would run a shell command", where=url, mend="add --allow-pipe if you trust where it came from")


@contextlib.contextmanager
def told_in_a_sentence(url: str) -> Iterator[None]:
    """Turn what fsspec and the packages behind it raise for `url` into a UserError."""
    try:
        yield
    except UserError:
        raise
    except ImportError as error:  # fsspec names the package that a protocol needs
        raise UserError(f"cannot be opened ({_reason(error)})", where=url, mend="install that package") from None
    except FileNotFoundError as error:
        cause = error.__cause__  # over HTTP, whatever went wrong is "not found", with the reason as its cause
        if cause is None or getattr(cause, "status", None) == 404:
            raise UserError("is not there", where=url, mend="check the address") from None
        raise UserError(f"cannot be reached ({_reason(cause)})", where=url,
                        mend="check address, network and credentials") from None
    except Exception as error:  # noqa: BLE001 - every storage's package has exceptions of its own
        if getattr(error, "errno", None) == errno.ENOSPC:  # this machine's disk, not the storage
            raise
        raise UserError(f"cannot be opened ({_reason(error)})", where=url,
                        mend="check address, network and credentials") from None


def _reason(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__


def open_shard(url: str, *, allow_pipe: bool = False) -> BinaryIO:
    """Open a shard for reading, as a stream. Raises UserError for a refused, unknown or failing URL."""
    refuse_pipe(url, allow_pipe)
    if scheme(url) == "pipe":
        return _piped(url)
    with told_in_a_sentence(url):
        import fsspec

        return fsspec.open(url, "rb").open()


def fetched(url: str) -> Path:
    """A local copy of a remote shard, in the cache; fetched once. Raises UserError; `pipe:` is refused."""
    if scheme(url) == "pipe":
        raise UserError("would run a shell command", where=url,
                        mend="fetch the shard yourself, or take engine `cluster`, whose trainer takes --allow-pipe, "
                             "with open_clip's own tokenizer (prepare.vocabulary: 48894)")
    name = f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.tar"
    path = paths.cache() / "shards" / name
    if not path.is_file():
        with (open_shard(url) as source, atomic_path(path) as temporary, open(temporary, "wb") as target,
              told_in_a_sentence(url)):
            shutil.copyfileobj(source, target, 1 << 20)
    return path


def _piped(url: str) -> BinaryIO:
    from webdataset.gopen import gopen

    return gopen(url, "rb")
