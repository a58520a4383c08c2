"""The same figures in DuckDB: SQL as a team writes it, one query per segment, and as an expert fuses it by hand."""
