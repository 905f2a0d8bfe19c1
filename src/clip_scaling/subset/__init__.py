"""Nested pre-training subsets as webdataset shards, and the one reader of shards, ours and a user's."""
