"""Programs that read what is already there: replay, query, backtest."""
