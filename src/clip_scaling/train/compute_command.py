"""`clip-scaling compute ARCHITECTURE [--json]`."""

import dataclasses
import json


def add_arguments(parser) -> None:
    parser.add_argument("architecture", help="ours (ViT-S-8) or open_clip's (ViT-B-32)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args) -> None:
    from .compute import compute

    counted = compute(args.architecture)
    if args.json:
        print(json.dumps({"architecture": args.architecture, **dataclasses.asdict(counted)}, indent=1))
        return
    print(f"{args.architecture}, one image-text pair, forward")
    print(f"{'tower':<6} {'GMAC':>12} {'activations/M':>14} {'parameters':>14}")
    for tower in ("image", "text", "both"):
        cost = getattr(counted, tower)
        print(f"{tower:<6} {cost.gmacs:>12.6g} {cost.activations:>14.6g} {cost.parameters:>14,}")
