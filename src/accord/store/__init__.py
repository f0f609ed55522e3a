"""Data artifacts on disk: Parquet shards with a manifest and a digest over rows."""
