"""Evaluation: zero-shot classification, retrieval, linear probes, fine-tuning, robustness and patching."""
