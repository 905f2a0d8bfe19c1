"""What a stranger's image and caption must be to be used, in shards and evaluation sets alike, and what is changed in them.

No number in a file makes the decoder allocate or the tokenizer wait beyond the limits here.
"""

import io
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

LARGEST_IMAGE = 64 << 20  # bytes
LARGEST_CAPTION = 64 << 10  # bytes
LARGEST_METADATA = 1 << 20  # bytes
LARGEST_PIXELS = 64_000_000  # width x height, looked at before a pixel is decoded
SMALLEST_SIDE = 4  # pixels: spacers and tracking dots are no pictures
MOST_SCANS = 100  # of a progressive JPEG: usual are 10; each costs as much as the whole picture, and few bytes
# Of the words' lengths, squared and added, as a tokenizer's time for a word is: one word of 1,000 characters, or 64 KiB of
# words of 15. A word of 64 KiB would take half a minute.
LONGEST_WORDS = 1_000_000
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


class Refusal(StrEnum):
    """Why a shard ended early, a member was not used, or a pair is none."""

    SHARD_TRUNCATED = "the tar ends too early"
    SHARD_BROKEN = "the tar has a broken header"
    SHARD_TRAILING = "the tar has data after its end mark"
    MEMBER_UNSAFE_NAME = "name is absolute, leaves the folder or holds control characters"
    MEMBER_NAME_ENCODING = "name is no UTF-8"
    MEMBER_NOT_A_FILE = "link, device or sparse file"
    MEMBER_FOREIGN = "neither image, caption nor metadata"
    DUPLICATE_KEY = "key stands twice in the shard"
    NO_IMAGE = "no image"
    NO_CAPTION = "no caption, or an empty one"
    IMAGE_EMPTY = "image of 0 bytes"
    IMAGE_LARGE = "image has too many bytes or pixels"
    IMAGE_SLOW = "JPEG has more than 100 scans"
    IMAGE_TINY = "image is smaller than 4 pixels"
    IMAGE_BROKEN = "image cannot be decoded"
    CAPTION_LONG = "caption or metadata is too long"
    CAPTION_WORDS = "caption has words too long for a tokenizer"
    CAPTION_ENCODING = "caption is no UTF-8"
    METADATA_BROKEN = "metadata are no JSON object, and there is no other caption"

    @property
    def of_pair(self) -> bool:
        """Whether it stands for a pair that was lost, not for a member beside pairs or an end."""
        return not self.name.startswith(("SHARD_", "MEMBER_"))


class Conversion(StrEnum):
    """What was changed on the way to RGB and plain text."""

    MODE = "palette, grey or CMYK to RGB"
    ALPHA = "transparency laid on white"
    ALPHA_DROPPED = "transparency dropped, as open_clip does"
    DEPTH = "16 bits to 8"
    FIRST_FRAME = "first frame of an animation"
    CONTROL_CHARACTERS = "control characters in a caption to blanks"


class Refused(Exception):
    """An image or caption is not used, for `reason`."""

    def __init__(self, reason: Refusal):
        super().__init__(str(reason))
        self.reason = reason


@dataclass(frozen=True)
class Usable:
    """A picture (PIL, RGB) or a line of text, and what was changed to make it one."""

    value: Any
    conversions: tuple[Conversion, ...] = ()


def plain_caption(text: str) -> Usable:
    """`text` in one line without control characters. Raises Refused."""
    if len(text) > LARGEST_CAPTION:
        raise Refused(Refusal.CAPTION_LONG)
    plain = _CONTROL.sub(" ", text)
    words = plain.split()
    if not words:
        raise Refused(Refusal.NO_CAPTION)
    if sum(len(word) ** 2 for word in words) > LONGEST_WORDS:
        raise Refused(Refusal.CAPTION_WORDS)
    return Usable(" ".join(words), (Conversion.CONTROL_CHARACTERS,) if plain != text else ())


def picture(content: bytes, *, on_white: bool = True) -> Usable:
    """The first frame of a PNG, JPEG or WebP file as RGB; orientation and colour profiles are not applied (open_clip).

    Transparency is laid on white, as img2dataset does (the colours beneath are whatever an editor left there), or
    dropped, as open_clip and CLIP_benchmark do. Raises Refused.
    """
    from PIL import Image

    if not content:
        raise Refused(Refusal.IMAGE_EMPTY)
    if content.startswith(b"\xff\xd8") and content.count(b"\xff\xda") > MOST_SCANS:
        raise Refused(Refusal.IMAGE_SLOW)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG", "WEBP")) as image:
            _fits(image.size)
            frames = (Conversion.FIRST_FRAME,) if getattr(image, "n_frames", 1) > 1 else ()
            image.load()
            made = _rgb(image, on_white)
    except Refused:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise Refused(Refusal.IMAGE_LARGE) from None
    except Exception:  # decoders raise whatever a stranger's bytes lead them to; none of it may stop the reader
        raise Refused(Refusal.IMAGE_BROKEN) from None
    return Usable(made.value, (*frames, *made.conversions))


def _fits(size: tuple[int, int]) -> None:
    width, height = size
    if width * height > LARGEST_PIXELS:
        raise Refused(Refusal.IMAGE_LARGE)
    if min(width, height) < SMALLEST_SIDE:
        raise Refused(Refusal.IMAGE_TINY)


def _rgb(image, on_white: bool) -> Usable:
    import numpy as np
    from PIL import Image

    clear = image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info
    if image.mode == "RGB" and not clear:
        return Usable(image)
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits: PIL would clip, not scale
        grey = (np.asarray(image).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return Usable(Image.fromarray(grey).convert("RGB"), (Conversion.DEPTH,))
    if clear and on_white:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Usable(Image.alpha_composite(white, layer).convert("RGB"), (Conversion.ALPHA,))
    return Usable(image.convert("RGB"), (Conversion.ALPHA_DROPPED if clear else Conversion.MODE,))
