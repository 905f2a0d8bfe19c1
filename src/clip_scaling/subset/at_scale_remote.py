"""Shards on remote storage: any URL that fsspec opens (http, https, s3, gs ...); shell pipes only on request."""

import re
from typing import BinaryIO

from ..core.errors import UserError

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


def open_shard(url: str, *, allow_pipe: bool = False) -> BinaryIO:
    """Open a shard for reading, as a stream. Raises UserError for a refused, unknown or failing URL."""
    refuse_pipe(url, allow_pipe)
    if scheme(url) == "pipe":
        return _piped(url)
    import fsspec

    try:
        return fsspec.open(url, "rb").open()
    except ImportError as error:  # fsspec names the package that a protocol needs
        raise UserError(f"cannot be opened ({error})", where=url, mend="install that package") from None
    except FileNotFoundError:
        raise UserError("no such shard", where=url, mend="check the address") from None
    except (ValueError, OSError) as error:
        raise UserError(f"cannot be opened ({error})", where=url, mend="check address and credentials") from None


def _piped(url: str) -> BinaryIO:
    from webdataset.gopen import gopen

    return gopen(url, "rb")
