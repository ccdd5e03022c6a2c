"""Evidence to holds: who held an address between which bounds."""
