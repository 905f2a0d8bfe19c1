"""The forward pass of open_clip's CLIP without the work whose result is thrown away.

Only one position of the last block is read: the class token of an image, the end token of a text. Its other positions
need keys and values, but no query, no output and no feed-forward layer; and what a causal text tower computes behind
the longest caption of a batch is never read at all. Leaving that out changes no feature and no gradient beyond
rounding (a test compares both with open_clip's own forward pass), and about halves the work of a shallow tower.
GMAC in the tables count open_clip's full forward pass, as the paper does.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F

from .openclip import open_clip


def image_scale(model) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale and shift (each [3]) that turn bytes into open_clip's normalised pixels: (byte / 255 - mean) / std."""
    mean = torch.tensor(open_clip.OPENAI_DATASET_MEAN)
    std = torch.tensor(open_clip.OPENAI_DATASET_STD)
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
    width = patch * patch
    scale_row, shift_row = scale.repeat(width), shift.repeat(width)

    def forward(images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = torch.addcmul(shift_row, _patches(images, patch).float(), scale_row)
        return F.normalize(_image_tower(model.visual, pixels), dim=-1), F.normalize(_text_tower(model, tokens), dim=-1)

    return forward


def _open_clip_features(model, scale: torch.Tensor, shift: torch.Tensor):
    def forward(images: torch.Tensor, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        pixels = torch.addcmul(shift, images.float(), scale).permute(0, 3, 1, 2)
        padded = F.pad(tokens, (0, model.context_length - tokens.shape[1]))
        return model.encode_image(pixels, normalize=True), model.encode_text(padded, normalize=True)

    return forward


def _patches(images: torch.Tensor, patch: int) -> torch.Tensor:
    """[B, H, W, 3] -> [B, patches, patch * patch * 3], row by row, colour last."""
    batch, height, width, colours = images.shape
    rows, columns = height // patch, width // patch
    grid = images.reshape(batch, rows, patch, columns, patch * colours).permute(0, 1, 3, 2, 4)
    return grid.reshape(batch, rows * columns, patch * patch * colours)


def _image_tower(visual, patches: torch.Tensor) -> torch.Tensor:
    width = visual.conv1.out_channels
    kernel = visual.conv1.weight.permute(0, 2, 3, 1).reshape(width, -1)
    x = F.linear(patches, kernel)
    first = visual.class_embedding.to(x.dtype).expand(len(x), 1, width)
    x = visual.ln_pre(torch.cat([first, x], dim=1) + visual.positional_embedding.to(x.dtype))
    *blocks, last = visual.transformer.resblocks
    for block in blocks:
        x = _block(block, x, causal=False)
    x = _last_block(last, x, x[:, 0], mask=None)
    return visual.ln_post(x) @ visual.proj


def _text_tower(model, tokens: torch.Tensor) -> torch.Tensor:
    length = tokens.shape[1]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    *blocks, last = model.transformer.resblocks
    for block in blocks:
        x = _block(block, x, causal=True)
    end = tokens.argmax(dim=1)
    readable = torch.arange(length, device=tokens.device) <= end[:, None]
    rows = torch.arange(len(tokens), device=tokens.device)
    x = _last_block(last, x, x[rows, end], mask=readable[:, None, None, :])
    return model.ln_final(x) @ model.text_projection


def _block(block, x: torch.Tensor, *, causal: bool) -> torch.Tensor:
    batch, length, width = x.shape
    attention = block.attn
    qkv = F.linear(block.ln_1(x), attention.in_proj_weight, attention.in_proj_bias)
    heads = qkv.view(batch, length, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], is_causal=causal)
    x = x + attention.out_proj(mixed.transpose(1, 2).reshape(batch, length, width))
    return x + block.mlp(block.ln_2(x))


def _last_block(block, x: torch.Tensor, read: torch.Tensor, *, mask: torch.Tensor | None) -> torch.Tensor:
    """The block's output at the one position a sample that is read: x [B, L, W], read [B, W] -> [B, W]."""
    batch, length, width = x.shape
    attention = block.attn
    normed = block.ln_1(x)
    query_weight, other_weight = attention.in_proj_weight.split([width, 2 * width])
    query_bias, other_bias = attention.in_proj_bias.split([width, 2 * width])
    query = F.linear(block.ln_1(read), query_weight, query_bias).view(batch, attention.num_heads, 1, -1)
    both = F.linear(normed, other_weight, other_bias).view(batch, length, 2, attention.num_heads, -1)
    keys, values = both.permute(2, 0, 3, 1, 4)
    mixed = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
    x = read + attention.out_proj(mixed.reshape(batch, width))
    return x + block.mlp(block.ln_2(x))
