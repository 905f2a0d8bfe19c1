"""SVG drawings become small RGB images; each also gives the vector that near-duplicates are found by."""

import io
import os
import resource
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..core.errors import UserError
from .icons import Icon, LeftOut

_INK, _PAPER = "#1a1a1a", "#ffffff"
_CHUNK = 256
_VISIBLE = [255 if value > 24 else 0 for value in range(256)]
_LONGEST = 5  # seconds of a processor for a drawing: of the icons that are used none takes a tenth of one
_LARGEST = 2 << 30  # bytes that a process may ask for beyond what it began with
_MOST_KILLED = 32  # drawings of a chunk
SIDE = 16  # of the blurred picture that near-duplicates are compared by


@dataclass(frozen=True)
class Render:
    """PNG bytes (RGB) and the uint8 vector [SIDE * SIDE] of blurred, bounding-box-normalised ink; or why there is none."""

    png: bytes
    ink: np.ndarray | None
    left_out: LeftOut | None


def framed(icon: Icon) -> str:
    """The body in a square SVG frame around the middle of its view box; `currentColor` is dark ink."""
    left, top, width, height = icon.view_box
    side = max(width, height)
    box = f"{left - (side - width) / 2:g} {top - (side - height) / 2:g} {side:g} {side:g}"
    body = icon.body.replace("currentColor", _INK)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
            f'viewBox="{box}" width="64" height="64">{body}</svg>')


def render(icon: Icon, size: int) -> Render:
    """Render at `size` x `size` pixels on white. A fault of the drawing or the renderer is a reason, no exception."""
    import resvg_py
    from PIL import Image

    try:
        raw = resvg_py.svg_to_bytes(svg_string=framed(icon), width=size, height=size, background=_PAPER,
                                    skip_system_fonts=True)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # a panic of the renderer is no Exception
        return Render(b"", None, LeftOut.RENDER_FAILED)
    picture = Image.open(io.BytesIO(raw)).convert("RGB")
    ink = blurred_ink(picture)
    if ink is None:
        return Render(b"", None, LeftOut.BLANK)
    return Render(png_bytes(picture), ink, None)


def png_bytes(picture) -> bytes:
    """An RGB picture as PNG, byte for byte the same for the same pixels."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", compress_level=6)
    return buffer.getvalue()


def blurred_ink(picture) -> np.ndarray | None:
    """Ink (255 - grey), its bounding box scaled to fill a square; uint8 [SIDE * SIDE], None for a blank.

    The box filter blurs enough: more of it made half of all held-out icons duplicates of something.
    """
    from PIL import Image, ImageOps

    ink = ImageOps.invert(picture.convert("L"))
    box = ink.point(_VISIBLE).getbbox()
    if box is None:
        return None
    width, height = box[2] - box[0], box[3] - box[1]
    side = max(width, height)
    square = Image.new("L", (side, side))
    square.paste(ink.crop(box), ((side - width) // 2, (side - height) // 2))
    return np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BOX), dtype=np.uint8).reshape(-1)


def render_all(icons: Sequence[Icon], size: int, workers: int | None = None) -> Iterator[Render]:
    """Render in order, several processes side by side; the result does not depend on how many.

    A drawing that kills its process, or takes it longer than `_LONGEST`, is one that could not be rendered. Raises
    UserError where so many do that it is not the drawings' fault.
    """
    from tqdm import tqdm

    chunks = [icons[start : start + _CHUNK] for start in range(0, len(icons), _CHUNK)]
    with tqdm(total=len(icons), desc="rendering", unit="icon", unit_scale=True, mininterval=1) as bar:
        for renders in _rendered(chunks, size, workers or os.cpu_count()):
            bar.update(len(renders))
            yield from renders


def _rendered(chunks: Sequence[Sequence[Icon]], size: int, workers: int) -> Iterator[list[Render]]:
    """Renders of each chunk, in order. A chunk is rendered one by one if a process dies while it is waited for."""
    done = 0
    while done < len(chunks):
        with ProcessPoolExecutor(workers, initializer=_confine) as pool:
            try:
                for renders in pool.map(_render_chunk, chunks[done:], [size] * (len(chunks) - done)):
                    done += 1
                    yield renders
            except (KeyboardInterrupt, GeneratorExit):
                pool.shutdown(wait=False, cancel_futures=True)  # else leaving would wait for every icon
                raise
            except BrokenProcessPool:
                pass
        if done < len(chunks):
            yield _one_by_one(chunks[done], size)
            done += 1


def _one_by_one(icons: Sequence[Icon], size: int) -> list[Render]:
    """The same where some drawing kills its process: that one is told by being alone, and the next has a new process."""
    renders, killed = [], 0
    while len(renders) < len(icons):
        with ProcessPoolExecutor(1, initializer=_confine) as pool:
            try:
                for icon in icons[len(renders) :]:
                    renders += pool.submit(_render_chunk, [icon], size).result()
            except BrokenProcessPool:
                renders.append(Render(b"", None, LeftOut.RENDER_FAILED))
                killed += 1
        if killed > _MOST_KILLED:
            raise UserError(f"{killed} rendering processes were killed, one after the other",
                            mend="free memory, or give fewer --workers, and run it again")
    return renders


def _render_chunk(icons: Sequence[Icon], size: int) -> list[Render]:
    renders = []
    for icon in icons:
        used = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + _LONGEST)
        renders.append(render(icon, size))
    return renders


def _confine() -> None:
    """Let a drawing that asks for gigabytes end its process, not the machine; without a picture of that memory."""
    _limit(resource.RLIMIT_CORE, 0)
    statm = Path("/proc/self/statm")
    if statm.is_file():  # elsewhere no process can tell what it has mapped so far
        mapped = int(statm.read_text().split()[0]) * resource.getpagesize()
        _limit(resource.RLIMIT_AS, mapped + _LARGEST)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
