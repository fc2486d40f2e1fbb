"""Tables in files: CSV, TSV, JSON Lines, JSON and Parquet, read and written in chunks.

A table in memory is a DataFrame whose columns all have the type `object` and hold plain Python values, as the file
has them: pandas' own types would turn whole numbers beside a missing value into rounded fractions, and keep those
columns of a Parquet file apart that were a frame's index.
"""

from nlptl.data.files.reading import is_table, read_chunks, read_frame, table_stem
from nlptl.data.files.tables import CHUNK, OPTIONS, Dialect, check_frame
from nlptl.data.files.writing import TableWriter

__all__ = [
    "CHUNK",
    "OPTIONS",
    "Dialect",
    "TableWriter",
    "check_frame",
    "is_table",
    "read_chunks",
    "read_frame",
    "table_stem",
]
