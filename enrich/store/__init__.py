"""The append-only store of evidence: SQLite, one writer."""
