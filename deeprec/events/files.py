"""Tables in files: CSV, JSON lines and Parquet, packed or not, one file or many, read by pyarrow.

Only the columns that are asked for are kept. Those of CSV files are text, so that ``00123`` stays
what it is; what a column means is for :mod:`deeprec.events.columns`. Whatever is wrong with a file
is a :class:`DataError` that names it, the row, and what to do.
"""

import csv
import glob
import io
import os
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet
from pyarrow.fs import LocalFileSystem

from deeprec.errors import DataError, printable
from deeprec.events.addresses import Remote, is_address, located
from deeprec.events.description import FileFormat, FilesDescription

FORMATS: dict[str, FileFormat] = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".tab": "csv",
    ".data": "csv",
    ".json": "jsonl",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
PACKED = (".gz", ".bz2", ".zst", ".lz4", ".br")
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
MOST_ROWS = 2**31 - 1
BLOCK_BYTES = 16 << 20
"""Of a CSV or JSON file, read at once; a line is not longer."""

File: TypeAlias = Path | Remote


@dataclass(frozen=True)
class Frame:
    """Columns of a table, as arrow has them, and where their rows are from.

    Attributes:
        table: the columns, in the order of the files.
        files: the files that were read.
        starts: the first row of each file.
        described: how they were to be read.
    """

    table: pa.Table
    files: tuple[File, ...]
    starts: tuple[int, ...]
    described: FilesDescription

    def __len__(self) -> int:
        return int(self.table.num_rows)

    @property
    def name(self) -> str:
        """What an error calls it: the file, or the first of several."""
        more = len(self.files) - 1
        return f"{self.files[0]}" + (f" and {more:,} more" if more else "")

    def where(self, row: int) -> str:
        """Where a row is: ``events.csv, row 17``, counted from 1 without the header."""
        file = bisect_right(self.starts, row) - 1
        return f"{self.files[file]}, row {row - self.starts[file] + 1:,}"

    def column(self, name: str) -> pa.ChunkedArray:
        """A column, by its name."""
        return self.table.column(name)


def found_files(described: FilesDescription, folder: Path) -> tuple[File, ...]:
    """The files of a table, in the order of their names.

    Raises:
        DataError: there is none.
    """
    given = _given(described, folder)
    found: Sequence[File]
    if given.is_dir():
        found = [path for path in _files_below(given) if _is_data(path)]
        if not found:
            raise DataError(f"{given} must hold files ({_endings()}) but has none")
        return tuple(found)
    if given.exists():
        return (given,)
    check = "check the path, or name --data-dir" if isinstance(given, Path) else "check the address"
    if glob.has_magic(described.shown):
        found = [path for path in _matching(given) if not path.name.startswith((".", "_"))]
        if not found:
            raise DataError(f"no file is called {given}; {check}")
        return tuple(found)
    near = get_close_matches(given.name, _names_beside(given), n=1)
    raise DataError(f"{given} is not there; {f'did you mean {near[0]}?' if near else check}")


def _given(described: FilesDescription, folder: Path) -> File:
    """What a description names: a file, a folder or a pattern."""
    found: File = Path(folder, described.path)
    if is_address(described.path):
        found = located(described.path)
    return Path(os.path.normpath(found.expanduser())) if isinstance(found, Path) else found


def _files_below(folder: File) -> Sequence[File]:
    if isinstance(folder, Remote):
        return folder.below()
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _names_beside(given: File) -> list[str]:
    if isinstance(given, Remote):
        return given.beside()
    return [path.name for path in given.parent.glob("*")]


def _matching(pattern: File) -> Sequence[File]:
    if isinstance(pattern, Remote):
        return pattern.matching()
    found = (Path(path) for path in glob.glob(str(pattern), recursive=True))  # noqa: PTH207
    return sorted(path for path in found if path.is_file())


def _endings() -> str:
    return ", ".join(sorted(FORMATS))


def _is_data(path: File) -> bool:
    return not path.name.startswith((".", "_")) and _suffix(path) in FORMATS


def _suffix(path: File) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    return next((suffix for suffix in reversed(suffixes) if suffix not in PACKED), "")


def format_of(path: File, described: FilesDescription) -> FileFormat:
    """The format of a file: as described, or by its name.

    Raises:
        DataError: neither says so.
    """
    known = described.format or FORMATS.get(_suffix(path))
    if known is None:
        raise DataError(
            f"{path} must end in {_endings()}, or its format must be named: "
            'format = "csv", "jsonl" or "parquet"'
        )
    return known


def read_columns(described: FilesDescription, folder: Path, names: Sequence[str] | None) -> Frame:
    """Reads columns of a table; all of them when no names are given.

    Raises:
        DataError: a file cannot be read, or lacks a column.
    """
    frame = _read(found_files(described, folder), described, names, folder)
    if len(frame) > MOST_ROWS:
        raise DataError(f"{frame.name} must have at most {MOST_ROWS:,} rows but has {len(frame):,}")
    return frame


def check_columns(described: FilesDescription, folder: Path, names: Sequence[str]) -> None:
    """Checks that the files of a table are there and have some columns; no row is read.

    Raises:
        DataError: a file cannot be read, or lacks a column.
    """
    for _ in _checked(found_files(described, folder), described, names, folder):
        pass


def _read(
    files: tuple[File, ...],
    described: FilesDescription,
    names: Sequence[str] | None,
    folder: Path,
) -> Frame:
    tables: list[pa.Table] = []
    for source, partition, columns in _checked(files, described, names, folder):
        inside = [name for name in columns if name not in partition]
        with _named(source.path):
            table = source.read(inside)
        for name in partition.keys() & set(columns):
            values = pa.array([partition[name]] * len(table), pa.string())
            table = table.append_column(name, values)
        tables.append(table.select(columns))
    starts, total = [], 0
    for table in tables:
        starts.append(total)
        total += table.num_rows
    return Frame(_joined(tables, files), files, tuple(starts), described)


def _checked(
    files: tuple[File, ...],
    described: FilesDescription,
    names: Sequence[str] | None,
    folder: Path,
) -> Iterator[tuple["_Source", dict[str, str], list[str]]]:
    """Each file, what its folders say of it, and the columns that are wanted of it."""
    wanted = None if names is None else list(dict.fromkeys(names))
    root = _given(described, folder)
    first: list[str] | None = None
    for path in files:
        _check_file(path)
        partition = _partition(path, root)
        source = _Source(path, described, format_of(path, described))
        with _named(path):
            columns = [*source.column_names(), *partition]
        _check_names(path, columns, wanted, first, files[0])
        first = first or columns
        yield source, partition, wanted or columns


def _joined(tables: Sequence[pa.Table], files: Sequence[File]) -> pa.Table:
    """The tables below one another; numbers may be of several widths."""
    if all(table.schema.equals(tables[0].schema) for table in tables):
        return pa.concat_tables(tables)
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        for path, table in zip(files, tables, strict=True):
            for before, here in zip(tables[0].schema, table.schema, strict=True):
                if before.type != here.type:
                    raise DataError(
                        f"{path}: the column {here.name!r} is {here.type} but {before.type} in "
                        f"{files[0]}; make the files alike"
                    ) from error
        raise


def _partition(path: File, root: File) -> dict[str, str]:
    """What the folders say of a file: ``month=7/part.parquet`` has a column ``month``."""
    start = f"{root}/"
    if not str(path).startswith(start):
        return {}
    folders = str(path).removeprefix(start).split("/")[:-1]
    return dict(part.split("=", 1) for part in folders if "=" in part)


def _check_file(path: File) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(len(LFS_POINTER))
    except OSError as error:
        raise DataError(f"{path} cannot be read: {printable(error.strerror or error)}") from error
    if head == LFS_POINTER:
        raise DataError(f"{path} is a pointer of Git LFS, not the file; fetch it with git lfs pull")
    if not head:
        raise DataError(f"{path} is empty; a table has a header and rows")


def _check_names(
    path: File,
    columns: list[str],
    wanted: Sequence[str] | None,
    first: list[str] | None,
    first_path: File,
) -> None:
    twice = sorted({name for name in columns if columns.count(name) > 1})
    if twice:
        raise DataError(f"{path} has two columns called {twice[0]!r}; rename one")
    if first is not None and set(columns) != set(first):
        differing = sorted(set(columns) ^ set(first))
        raise DataError(
            f"{path} and {first_path} must have the same columns but differ in "
            f"{', '.join(map(repr, differing[:3]))}"
        )
    for name in wanted or ():
        if name not in columns:
            raise DataError(f"{path} has no column {name!r}{_hint(name, columns)}")


def _hint(name: str, columns: list[str]) -> str:
    if len(columns) == 1 and (separators := re.findall(r"[;\t|,]", columns[0])):
        return (
            f": its header is one column, {printable(columns[0], 60)!r}; "
            f"set separator = {separators[0]!r}"
        )
    if columns and all(re.fullmatch(r"[\d.,: \-T]*", column) for column in columns):
        return (
            f": its first line {printable(','.join(columns), 60)!r} looks like a row; "
            "give the file a header"
        )
    near = get_close_matches(name, columns, n=1)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; it has {', '.join(repr(printable(column, 40)) for column in columns[:20])}"


class _named:  # noqa: N801
    """Turns what pyarrow raises into errors that name the file."""

    def __init__(self, path: File) -> None:
        self.path = path

    def __enter__(self) -> None:
        """Nothing to do."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DataError) or not isinstance(
            error, pa.ArrowException | OSError | ValueError | EOFError | LookupError
        ):
            return
        raise DataError(f"{self.path} {_reason(self.path, error)}") from error


def _reason(path: File, error: BaseException) -> str:
    text = printable(error, 200)
    if "UTF8" in text or "UTF-8" in text or isinstance(error, UnicodeError):
        return (
            "must be text in the encoding named (utf-8), but is not; set encoding, such as latin-1"
        )
    if isinstance(error, LookupError):
        return f"cannot be read: {text}"
    if _suffix(path) in (".parquet", ".pq"):
        return f"cannot be read as Parquet, it may be cut off or another format: {text}"
    if path.suffix.lower() in PACKED:
        return f"cannot be unpacked, it may be cut off: {text}"
    return f"cannot be read: {text}"


@dataclass(frozen=True)
class _Source:
    """One file."""

    path: File
    described: FilesDescription
    format: FileFormat

    @property
    def place(self) -> tuple[str, Any]:
        """Where it is in which of pyarrow's file systems; None is this machine's."""
        if isinstance(self.path, Remote):
            return self.path.path, self.path.files
        return str(self.path), None

    def column_names(self) -> list[str]:
        """Its columns, in its order."""
        if self.format == "parquet":
            place, files = self.place
            return list(pa.parquet.read_schema(place, filesystem=files).names)
        if self.format == "jsonl":
            return list(self._first_block_of_json().column_names)
        return self._header()

    def read(self, names: Sequence[str]) -> pa.Table:
        """Some of its columns."""
        if not names:
            return self._rows_alone()
        if self.format == "parquet":
            place, files = self.place
            return pa.parquet.read_table(
                place, columns=list(names), partitioning=None, filesystem=files
            )
        if self.format == "jsonl":
            options = pa.json.ReadOptions(block_size=BLOCK_BYTES)
            with self._bytes() as stream:
                return pa.json.read_json(stream, options).select(list(names))
        return self._read_csv(list(names))

    def _rows_alone(self) -> pa.Table:
        first = self.column_names()[0]
        return self.read([first]).select([])

    def _bytes(self) -> Any:
        place, files = self.place
        return (files or LocalFileSystem()).open_input_stream(place, compression="detect")

    def _first_block_of_json(self) -> pa.Table:
        with self._bytes() as stream:
            head = stream.read(BLOCK_BYTES)
        cut = head.rfind(b"\n") + 1 or len(head)
        return pa.json.read_json(
            io.BytesIO(head[:cut]), pa.json.ReadOptions(block_size=BLOCK_BYTES)
        )

    @property
    def separator(self) -> str:
        """Between its columns."""
        default = "\t" if _suffix(self.path) in (".tsv", ".tab") else ","
        return self.described.separator or default

    def _header(self) -> list[str]:
        with self._bytes() as stream:
            head = stream.read(1 << 20)
        text = head.decode(
            self.described.encoding, errors="strict" if len(head) < 1 << 20 else "ignore"
        )
        text = text.removeprefix("\ufeff")
        rows: Iterator[list[str]] = csv.reader(io.StringIO(text), delimiter=self.separator)
        header = next((row for row in rows if row), None)
        if header is None:
            raise DataError(f"{self.path} has no header; its first line must name the columns")
        return header

    def _read_csv(self, names: list[str], *, strict: bool = False) -> pa.Table:
        """Reads as text; a line of too many or too few columns is looked for with its number."""
        ragged: list[Any] = []

        def note(row: Any) -> str:
            ragged.append(row)
            return "error"

        try:
            with self._bytes() as stream:
                return pa.csv.read_csv(
                    stream,
                    read_options=pa.csv.ReadOptions(
                        encoding=self.described.encoding,
                        block_size=BLOCK_BYTES,
                        use_threads=not strict,
                    ),
                    parse_options=pa.csv.ParseOptions(
                        delimiter=self.separator,
                        newlines_in_values=strict,
                        invalid_row_handler=note,
                    ),
                    convert_options=pa.csv.ConvertOptions(
                        include_columns=names,
                        column_types=dict.fromkeys(names, pa.string()),
                        strings_can_be_null=True,
                        null_values=["", "NULL", "null", "NaN", "nan", "NA", "N/A", "\\N"],
                        quoted_strings_can_be_null=False,
                    ),
                )
        except pa.ArrowInvalid as error:
            if not strict:
                return self._read_csv(names, strict=True)
            if ragged:
                row = ragged[0]
                raise DataError(
                    f"{self.path}, line {row.number} has {row.actual_columns} columns, the header "
                    f"has {row.expected_columns}: {printable(row.text, 80)!r}; quote values that "
                    f"hold {self.separator!r}, or mend the line"
                ) from error
            raise
