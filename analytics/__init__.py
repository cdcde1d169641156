"""What did it cost, how long did it take, what came of it?  Events to DuckDB to reports."""
