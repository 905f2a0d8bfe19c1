"""Image files that a reader must convert and count, or refuse before a pixel is decoded."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

from clip_scaling.subset.samples import Conversion


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def picture(seed: int = 0, size: int = 16) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def bomb(side: int) -> bytes:
    """A valid PNG of side x side grey pixels, compressed to little."""
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    compress = zlib.compressobj(9)
    rows = b"".join(compress.compress(bytes(side + 1)) for _ in range(64)) + compress.flush()  # the rest would follow
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


CORRUPT_EXIF = encoded(picture(), "JPEG", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff" + b"\xff" * 60)
CONVERTED = [
    (encoded(picture().convert("P")), Conversion.MODE),
    (encoded(picture().convert("L")), Conversion.MODE),
    (encoded(picture().convert("RGBA")), Conversion.ALPHA),
    (encoded(picture().convert("LA")), Conversion.ALPHA),
    (encoded(picture().convert("P"), transparency=3), Conversion.ALPHA),
    (encoded(picture(), transparency=(1, 2, 3)), Conversion.ALPHA),
    (encoded(Image.new("RGBA", (16, 16), (9, 9, 9, 99)), "WEBP", lossless=True), Conversion.ALPHA),
    (encoded(picture().convert("1")), Conversion.MODE),
    (encoded(picture().convert("CMYK"), "JPEG", quality=95), Conversion.MODE),
    (encoded(Image.fromarray(np.full((16, 16), 40_000, np.uint16))), Conversion.DEPTH),
    (encoded(picture(), save_all=True, append_images=[picture(1)]), Conversion.FIRST_FRAME),
    (encoded(picture(), "WEBP", lossless=True, save_all=True, append_images=[picture(1)]), Conversion.FIRST_FRAME),
]
