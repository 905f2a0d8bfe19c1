"""Stage `prepare`: icons become a pool of image-caption pairs, evaluation sets, tuning sets and a tokenizer."""
