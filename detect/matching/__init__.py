"""Which rows of a batch match which rule: all rules in one pass."""
