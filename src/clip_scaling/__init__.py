"""Reproducible scaling laws for contrastive language-image learning, as an artifact that runs."""

__version__ = "0.1.0"
