"""Asks named flows, and the history beside them: SQL on Parquet files, and filters that become SQL."""
