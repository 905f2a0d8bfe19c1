"""The forward pass of open_clip's CLIP without the work whose result is thrown away.

Only one position of the last block is read: the class token of an image, the end token of a text. So its other
positions need no query, no output and no feed-forward layer; what a causal text tower computes behind the longest
caption of a batch is never read at all; and with a single query a head, keys and values need not be made for every
position either: q . (K h) = (K'q) . h, and V's product can wait until positions are summed. (A key's bias shifts all
scores of a query alike, which softmax ignores.) Normalisation of pixels is folded into the patch embedding.

None of this changes a feature or a gradient beyond rounding (a test compares both with open_clip's own forward pass);
a shallow tower becomes several times cheaper. GMAC in the tables count open_clip's full pass, as the paper does.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F

from .openclip import open_clip


def image_scale(model) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift (each [3]) that turn bytes into the model's input: (byte / 255 - mean) / std."""
    default = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    preprocess = getattr(model.visual, "preprocess_cfg", None) or default
    mean, std = torch.tensor(preprocess["mean"]), torch.tensor(preprocess["std"])
    device = next(model.parameters()).device
    return (1 / (255 * std)).to(device), (-mean / std).to(device)


def is_plain(model) -> bool:
    """Whether the model is a ViT and a causal text transformer with none of open_clip's variations."""
    visual = model.visual
    blocks = [*getattr(getattr(visual, "transformer", None), "resblocks", []), *model.transformer.resblocks]
    plain_block = open_clip.transformer.ResidualAttentionBlock
    return (
        isinstance(visual, open_clip.transformer.VisionTransformer)
        and bool(blocks)
        and all(type(block) is plain_block and isinstance(block.ls_1, torch.nn.Identity) for block in blocks)
        and all(isinstance(block.mlp.gelu, torch.nn.GELU) for block in blocks)
        and isinstance(visual.patch_dropout, torch.nn.Identity)
        and visual.attn_pool is None and visual.pool_type == "tok" and visual.proj is not None
        and model.text_pool_type == "argmax" and model.attn_mask is not None
        and isinstance(model.text_projection, torch.nn.Parameter)
    )


def features(model) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """A function (images uint8 [B, H, W, 3], tokens int64 [B, L]) -> two normalised features [B, E], for training.

    L may be shorter than the model's context, as long as it holds each caption's end token.
    """
    scale, shift = image_scale(model)
    if not is_plain(model):
        return _open_clip_features(model, scale, shift)
    patch = model.visual.patch_size[0]
    scale_row, shift_row = scale.repeat(patch * patch), shift.repeat(patch * patch)

    def forward(images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        image_features = _image_tower(model.visual, _patches(images, patch), scale_row, shift_row)
        return F.normalize(image_features, dim=-1), F.normalize(_text_tower(model, tokens), dim=-1)

    return forward


def _open_clip_features(model, scale: torch.Tensor, shift: torch.Tensor):
    def forward(images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = torch.addcmul(shift, images.float(), scale).permute(0, 3, 1, 2)
        padded = F.pad(tokens, (0, model.context_length - tokens.shape[1]))
        return model.encode_image(pixels, normalize=True), model.encode_text(padded, normalize=True)

    return forward


def _patches(images: torch.Tensor, patch: int) -> torch.Tensor:
    """Bytes [B, H, W, 3] -> float [B, 1 + patches, patch * patch * 3], less 255, colour last; row 0 is zero.

    White is zero, and bf16 holds the others exactly, too. Row 0 stands for the class token.
    """
    batch, height, width, colours = images.shape
    rows, columns = height // patch, width // patch
    grid = images.view(batch, rows, patch, columns, patch * colours).permute(0, 1, 3, 2, 4)
    patches = torch.empty(batch, 1 + rows * columns, patch * patch * colours, device=images.device)
    patches[:, 0].fill_(255)  # a kernel, where an assignment would copy a number from the host
    patches[:, 1:].view(batch, rows, columns, patch, patch * colours).copy_(grid)
    return patches.sub_(255)


def _image_tower(visual, patches: torch.Tensor, scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    width = visual.conv1.out_channels
    kernel = visual.conv1.weight.permute(0, 2, 3, 1).reshape(width, -1)
    normalised = (kernel @ (shift + 255 * scale)).expand(patches.shape[1] - 1, width)
    start = torch.cat([visual.class_embedding[None], normalised]) + visual.positional_embedding
    x = visual.ln_pre(F.linear(patches, kernel * scale) + start)
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        x = _block(block, x, causal=False)
    x = _last_block(last, x, x[:, 0], unreadable=None)
    return visual.ln_post(x) @ visual.proj


def _text_tower(model, tokens: torch.Tensor) -> torch.Tensor:
    length = tokens.shape[1]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    *blocks, last = model.transformer.resblocks
    for block in blocks:
        x = _block(block, x, causal=True)
    end = tokens.argmax(dim=1)
    unreadable = torch.arange(length, device=tokens.device) > end[:, None]
    rows = torch.arange(len(tokens), device=tokens.device)
    x = _last_block(last, x, x[rows, end], unreadable=unreadable[:, None])
    return model.ln_final(x) @ model.text_projection


def _block(block, x: torch.Tensor, *, causal: bool) -> torch.Tensor:
    batch, length, width = x.shape
    attention = block.attn
    qkv = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = qkv.view(batch, length, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    if x.is_cuda:
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=causal)
    else:  # a dozen positions: two plain products beat the kernel made for thousands
        scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)
        if causal:
            scores = scores.masked_fill(torch.ones(length, length, dtype=torch.bool).triu(1), -math.inf)
        mixed = torch.softmax(scores, dim=-1) @ value
    x = x + attention.out_proj(mixed.transpose(1, 2).reshape(batch, length, width))
    return x + block.mlp(block.ln_2(x))


def _last_block(block, x: torch.Tensor, read: torch.Tensor, *, unreadable: torch.Tensor | None) -> torch.Tensor:
    """The block's output at the one position a sample that is read: x [B, L, W], read [B, W] -> [B, W].

    `unreadable` [B, 1, L] marks positions that the query must not see.
    """
    batch, _, width = x.shape
    attention, normed = block.attn, block.ln_1(x)
    heads = attention.num_heads
    query_weight, key_weight, value_weight = attention.in_proj_weight.chunk(3)
    query_bias, _, value_bias = attention.in_proj_bias.chunk(3)
    query = F.linear(block.ln_1(read), query_weight * (width // heads) ** -0.5, query_bias * (width // heads) ** -0.5)
    query = query.view(batch, heads, -1).transpose(0, 1)
    scores = (query @ key_weight.view(heads, -1, width)).transpose(0, 1) @ normed.transpose(1, 2)
    if unreadable is not None:
        scores = scores.masked_fill(unreadable, -math.inf)
    summed = torch.softmax(scores, dim=-1) @ normed
    mixed = summed.transpose(0, 1) @ value_weight.view(heads, -1, width).transpose(1, 2)
    x = read + attention.out_proj(mixed.transpose(0, 1).reshape(batch, width) + value_bias)
    return x + block.mlp(block.ln_2(x))
