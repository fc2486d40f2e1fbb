"""Data that a call of Python brings: paths and names become settings, tables are handed on as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nlptl.errors import ConfigError, unknown
from nlptl.tasks import SPLITS

PYTHON_DATA = "(python data)"
"""What a configuration says of data that has no path."""


def is_path(data: Any) -> bool:
    """Whether a path, a Hub id or a name stands for the data."""
    return isinstance(data, str | Path)


def name_of(data: Any) -> str | None:
    """What the configuration says of some data: its path or name, or that it was given in Python."""
    if data is None:
        return None
    return str(data) if is_path(data) else PYTHON_DATA


def table_of(data: Any) -> Any:
    """The data as the data room takes it, None where a path stands for it; a list of records becomes a DataFrame.

    Raises:
        ConfigError: a list of something else.
    """
    if data is None or is_path(data):
        return None
    if isinstance(data, list | tuple):
        if not data or not all(isinstance(record, Mapping) for record in data):
            held = f"{type(data[0]).__name__} objects" if data else "nothing"
            raise ConfigError(
                f"The data is a list of {held}; labelled data is a path, a pandas DataFrame, a datasets object, a dict "
                'of them by split, or a list of records such as {"text": "...", "label": "..."}.'
            )
        import pandas as pd

        return pd.DataFrame(list(data))
    return data


def texts_table(data: Any, column: str) -> Any:
    """As `table_of`, where labels are not needed: a list or Series of texts becomes a column of texts.

    Args:
        data: what was given.
        column: the name of the task's text column.
    """
    import pandas as pd

    if isinstance(data, pd.Series) or (
        isinstance(data, list | tuple) and data and all(isinstance(text, str) for text in data)
    ):
        return pd.DataFrame({column: list(data)})
    return table_of(data)


def list_of_texts(data: Any, column: str | None = None) -> list[str] | None:
    """Unlabelled texts that were given in Python; None where paths stand for them.

    Args:
        data: a Series, a DataFrame, a datasets object or dict of them by split, or paths.
        column: with the texts; None: `text`, or the only column.

    Raises:
        ConfigError: the column is not there, or something that holds no texts.
    """
    if data is None or is_path(data) or (isinstance(data, list | tuple) and all(is_path(item) for item in data)):
        return None
    if isinstance(data, Mapping):
        return [text for part in data.values() for text in list_of_texts(part, column) or ()]
    import pandas as pd

    if isinstance(data, pd.Series):
        return [str(text) for text in data.dropna()]
    if not isinstance(data, pd.DataFrame) and hasattr(data, "to_pandas"):
        data = data.to_pandas()
    if not isinstance(data, pd.DataFrame):
        raise ConfigError(
            f"data is a {type(data).__name__}, which holds no texts. Give files or folders, a pandas Series or "
            "DataFrame, a datasets object, or the texts themselves as texts=[...]."
        )
    chosen = column or ("text" if len(data.columns) != 1 else data.columns[0])
    if chosen not in data.columns:
        raise ConfigError(f"{unknown('column', str(chosen), map(str, data.columns))} Choose with text_column=...")
    return [str(text) for text in data[chosen].dropna()]


def data_of_one_task(data: Any, validation: Any = None, test: Any = None) -> tuple[dict[str, Any], Any]:
    """Data of one task as settings, and as tables.

    Args:
        data: a path, Hub id or name; a table; or a dict of these by split.
        validation: a file or table of that split, instead of the data's own.
        test: likewise.

    Returns:
        Dotted settings, and the tables by split where there are any.

    Raises:
        ConfigError: a split given twice, an unknown one, or a table beside a train split that is no file.
    """
    splits = {"validation": validation, "test": test}
    if isinstance(data, Mapping) and any(is_path(part) for part in data.values()):
        data = _split_by_name(data, splits)
    settings: dict[str, Any] = {"data.source": name_of(data)}
    settings |= {f"data.{split}": str(part) for split, part in splits.items() if is_path(part)}
    tables = {split: table_of(part) for split, part in splits.items() if part is not None and not is_path(part)}
    if not tables:
        return settings, table_of(data)
    if data is None or is_path(data):
        tables["train"] = _read_train(data, tables)
    elif isinstance(data, Mapping):
        tables = {**data, **tables}
    else:
        tables["train"] = table_of(data)
    return {**settings, "data.source": PYTHON_DATA}, tables


def _split_by_name(data: Mapping[str, Any], splits: dict[str, Any]) -> Any:
    """The train split of a dict; the others go to `splits`."""
    for split, part in data.items():
        if split not in SPLITS:
            raise ConfigError(unknown("split", str(split), SPLITS))
        if split != "train":
            if splits[split] is not None:
                raise ConfigError(f"The {split} split is given twice, in data and as {split}=... Give one.")
            splits[split] = part
    return data.get("train")


def _read_train(data: Any, tables: Mapping[str, Any]) -> Any:
    from nlptl.data.files import read_frame
    from nlptl.storage.paths import user_path

    if data is None or not user_path(data).is_file():
        raise ConfigError(
            f"{' and '.join(tables)} given as tables need a train split that is a table or a file; data is {data!r}."
        )
    return read_frame(user_path(data))


def data_by_task(data: Any) -> tuple[dict[str, str], dict[str, Any]]:
    """Data of several tasks: what is named, and the tables.

    Raises:
        ConfigError: the data is no dict by task.
    """
    if data is not None and not isinstance(data, Mapping):
        raise ConfigError('Data of several tasks is a dict by task, such as {"sentiment": "reviews.csv"}.')
    items = dict(data or {})
    sources = {name: str(value) for name, value in items.items() if is_path(value)}
    given = {name: table_of(value) for name, value in items.items() if name not in sources}
    return sources | dict.fromkeys(given, PYTHON_DATA), given


def named_domains(domains: Mapping[str, Any] | Sequence[str | Path]) -> dict[str, Any]:
    """Domain -> data; files and folders alone are called after themselves.

    Raises:
        ConfigError: two files of one name, or something that has none.
    """
    if isinstance(domains, Mapping):
        return dict(domains)
    if is_path(domains) or not all(is_path(path) for path in domains):
        raise ConfigError('Domains are a dict by name, such as {"books": books}, or a list of files.')
    names = [Path(path).stem if Path(path).suffix else Path(path).name for path in domains]
    if len(set(names)) < len(names):
        raise ConfigError(f"Domains are told apart by their file names, and these repeat: {', '.join(names)}.")
    return dict(zip(names, domains, strict=True))
