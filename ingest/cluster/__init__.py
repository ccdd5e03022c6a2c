"""What the cluster said of itself, in files: objects to observations."""
