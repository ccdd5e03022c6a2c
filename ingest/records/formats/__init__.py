"""One module a format: records to flows."""
