"""Free text: lines without columns. Their addresses and times are found, and names put behind them as text."""
