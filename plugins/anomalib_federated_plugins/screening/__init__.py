"""Which rows that sites sent are refused."""
