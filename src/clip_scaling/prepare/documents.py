"""JSON documents of others: icon sets and names of emoji, with no more and no other in them than is used."""

import re
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from ..core.errors import UserError, short

# Names become words of captions, and prefixes names of families: no path, no line break, nothing endless.
_Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,199}$")]
_BROKEN = "remove it and run the command again"


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, allow_inf_nan=False, extra="ignore")


class Box(_Part):
    """Sides of a view box; a drawing that names none has its set's, a set that names none 0, 0, 16, 16."""

    left: float | None = None
    top: float | None = None
    width: float | None = None
    height: float | None = None


class Drawing(Box):
    body: str
    hidden: bool = False


class Author(_Part):
    name: str = ""


class License(_Part):
    spdx: str = ""
    url: str = ""


class Info(_Part):
    name: str | None = None
    author: Author = Author()
    license: License = License()
    category: str | None = None
    palette: bool = False


class IconDocument(Box):
    """An icon set in iconify's form."""

    prefix: _Name
    icons: dict[_Name, Drawing]
    info: Info = Info()
    suffixes: dict[str, str] = {}
    categories: dict[str, list[str]] = {}


class Emoji(_Part):
    label: str
    tags: list[str] = []


def read_icon_sets(source: Path) -> Iterator[IconDocument]:
    """Icon sets in iconify's form, from the package's archive or from a folder of *.json. Raises UserError."""
    for name, content in _members(source):
        try:
            yield IconDocument.model_validate_json(content)
        except ValidationError as error:
            raise UserError(f"holds a broken icon set ({_first(error)})", where=name, mend=_BROKEN) from None


def _members(source: Path) -> Iterator[tuple[str, bytes]]:
    if source.is_dir():
        for path in sorted(source.glob("*.json")):
            if not path.is_file():
                raise UserError("is no file", where=path, mend="leave icon sets alone in the folder")
            yield str(path), path.read_bytes()
        return
    try:
        with tarfile.open(source, "r|gz") as archive:
            for member in archive:
                if re.fullmatch(r"package/json/[a-z0-9-]+\.json", member.name) and member.isfile():
                    yield f"{source}, {member.name}", archive.extractfile(member).read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"is a broken archive ({error})", where=source, mend=_BROKEN) from None


def read_emoji(source: Path) -> list[Emoji]:
    """Entries of emojibase's archive, or of a JSON file of that form. Raises UserError."""
    try:
        if source.suffix == ".json":
            content = source.read_bytes()
        else:
            with tarfile.open(source, "r:gz") as archive:
                content = archive.extractfile("package/en/data.json").read()
        return TypeAdapter(list[Emoji]).validate_json(content)
    except ValidationError as error:
        raise UserError(f"holds no emoji names ({_first(error)})", where=source, mend=_BROKEN) from None
    except (KeyError, tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise UserError(f"holds no emoji names ({error})", where=source, mend=_BROKEN) from None


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(short(part) for part in first["loc"])
    return f"{place}: {first['msg']}" if place else first["msg"]
