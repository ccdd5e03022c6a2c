"""Names beside addresses: in lines of any log, and in frames."""
