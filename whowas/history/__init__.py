"""Opens, asks, imports and exports histories."""
