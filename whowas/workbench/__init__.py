"""The page over named flows, their history and their findings: questions, roll-ups, and the server that answers."""
