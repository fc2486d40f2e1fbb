"""Parquet tables: Arrow columns as Python values, exactly, with those that pandas kept as a frame's index."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nlptl.data.files.tables import Dialect, check_names, empty_frame, frame_of
from nlptl.errors import DataError


def read_parquet(path: Path, rows: int, dialect: Dialect) -> Iterator[pd.DataFrame]:
    """Every column of the file, in its order.

    Raises:
        DataError: it is no Parquet file, is damaged, or holds a column twice.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            check_names(str(path), names)
            for batch in file.iter_batches(batch_size=rows):
                if batch.num_rows:
                    yield arrow_frame(batch)
            if not file.metadata.num_rows:
                yield empty_frame(names)
    except (pa.ArrowException, ValueError, TypeError, OverflowError, KeyError, NotImplementedError) as error:
        # Damage also shows as values or types that Python cannot hold.
        if isinstance(error, UnicodeError):
            raise DataError(f"{path} is not a readable Parquet file: a text in it is not UTF-8.") from error
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error


def arrow_frame(table: Any) -> pd.DataFrame:
    """An Arrow table or record batch whose column names differ, as a DataFrame of Python values."""
    return frame_of({name: cells(table.column(i)) for i, name in enumerate(table.schema.names)})


def cells(column: Any) -> list[Any]:
    """The values of an Arrow column: int, float, str, bool, datetime, Decimal, list, dict ..., and None.

    Numbers of 32 and 16 bits get their shortest digits (0.1, not 0.10000000149011612). Times and dates that Python
    cannot hold become text.
    """
    import pyarrow as pa

    if pa.types.is_float32(column.type) or pa.types.is_float16(column.type):
        numbers = [value.as_py() for value in column]
        width = np.float32 if pa.types.is_float32(column.type) else np.float16
        return [None if number is None else float(str(width(number))) for number in numbers]
    if pa.types.is_time64(column.type) and column.type.unit == "ns":  # as_py would cut them to microseconds
        return list(column.cast(pa.string()).to_pylist())
    try:
        return list(column.to_pylist())
    except UnicodeError:
        raise
    except (ValueError, OverflowError):
        return list(column.cast(pa.string()).to_pylist())
