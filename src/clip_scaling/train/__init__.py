"""Training: the models, an exact and resumable engine for small ones, and the bridge to open_clip's own trainer."""
