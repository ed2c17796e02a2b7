"""Plain tables and arrays from files and back, nothing clever."""
