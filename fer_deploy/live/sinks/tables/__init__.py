"""Sinks for tables of faces and frames: CSV and Parquet."""
