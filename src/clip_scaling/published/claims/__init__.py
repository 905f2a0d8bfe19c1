"""The claims of the paper, each a small declared check: what, from which rows, how judged, which verdict is expected.

To add one: a row in data/published/claims.csv, and a line in one of this package's lists, for example

    claim(113, number(lambda p: score(p, "ViT-B-32_LAION-2B_3B", IMAGENET), digits=1))

`number`, `numbers`, `cells`, `gain`, `no_gain`, `little_gain` and `unchecked` (checks.py) make the common kinds.
"""
