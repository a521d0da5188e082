"""Tables are read from files, addresses and whatever frame the caller has, or refused in words."""

import gzip
import io
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from autopilot.errors import FetchError
from autopilot.table.read import describe, digest, read
from storage import DataError
from storage.formats import NULL_WORDS, format_of
from tests.refusals import raises

FRAME = pl.DataFrame({"x": [1, 2, None], "town": ["Ulm", None, "Köln, am Rhein"], "share": [0.5, 1.5, None]})
CSV = 'x,town,share\n1,Ulm,0.5\n2,,1.5\n,"Köln, am Rhein",\n'

WRITERS: dict[str, Callable[[pl.DataFrame, Any], Any]] = {
    "csv": pl.DataFrame.write_csv,
    "tsv": partial(pl.DataFrame.write_csv, separator="\t"),
    "parquet": pl.DataFrame.write_parquet,
    "pq": pl.DataFrame.write_parquet,
    "ndjson": pl.DataFrame.write_ndjson,
    "jsonl": pl.DataFrame.write_ndjson,
    "arrow": pl.DataFrame.write_ipc,
    "feather": pl.DataFrame.write_ipc,
    "ipc": pl.DataFrame.write_ipc_stream,
}


def file_of(folder: Path, name: str, content: str | bytes) -> str:
    """The path of a new file."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def content_of(ending: str, frame: pl.DataFrame = FRAME) -> bytes:
    """A frame in a format, by Polars."""
    buffer = io.BytesIO()
    WRITERS[ending](frame, buffer)
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gz"])
@pytest.mark.parametrize("ending", WRITERS)
def test_each_format_is_read_by_its_ending(tmp_path: Path, ending: str, packed: bool) -> None:
    """Arrow as a file and as a stream; each also gzipped, whatever its name says about that."""
    content = content_of(ending)
    path = file_of(tmp_path, f"table.{ending}" + ".gz" * packed, gzip.compress(content) if packed else content)
    assert_frame_equal(read(path), FRAME)
    assert_frame_equal(read(Path(path)), FRAME)
    renamed = file_of(tmp_path, f"other.{ending.upper()}", gzip.compress(content))
    assert_frame_equal(read(renamed), FRAME)


def test_csv_types_are_inferred_from_all_rows(tmp_path: Path) -> None:
    """Numbers and booleans; a column whose last cell is a word is text, and so are dates until `infer` reads them."""
    lines = [f"{n},{n % 2 == 0},2024-05-{n % 28 + 1:02},{n}".lower() for n in range(2000)]
    frame = read(file_of(tmp_path, "t.csv", "\n".join(["n,even,day,odd", *lines, "1,true,2024-05-01,word"])))
    assert frame.schema == {"n": pl.Int64, "even": pl.Boolean, "day": pl.String, "odd": pl.String}


def test_csv_cells_that_only_look_like_times_are_text(tmp_path: Path) -> None:
    """Polars takes compact times for times and then cannot parse them."""
    frame = read(file_of(tmp_path, "t.csv", "x,t\n1,20240501T101112\n2,20240502T101112\n"))
    assert frame.rows() == [(1, "20240501T101112"), (2, "20240502T101112")]


@pytest.mark.parametrize("word", ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "#N/A"])
def test_csv_cells_that_say_missing_are_null(tmp_path: Path, word: str) -> None:
    """In columns of numbers and of text."""
    frame = read(file_of(tmp_path, "t.csv", f"x,c\n1,a\n{word},{word}\n3,c\n"))
    assert frame.get_column("x").to_list() == [1, None, 3]
    assert frame.get_column("c").to_list() == ["a", None, "c"]


@pytest.mark.parametrize(
    "content",
    ["\ufeff" + CSV, CSV.replace("\n", "\r\n"), CSV.replace("\n", "\r"), CSV.rstrip("\n"), "\n" + CSV],
    ids=["byte order mark", "Windows", "Macintosh", "no last line end", "empty first line"],
)
def test_csv_as_other_programs_write_it(tmp_path: Path, content: str) -> None:
    """Other line ends, and what editors leave at the file's ends."""
    assert_frame_equal(read(file_of(tmp_path, "t.csv", content)), FRAME)


@pytest.mark.parametrize("delimiter", [";", "|", "\t", " "])
def test_a_csv_delimiter_can_be_told(tmp_path: Path, delimiter: str) -> None:
    """Any single character."""
    path = file_of(tmp_path, "t.csv", f"x{delimiter}c\n1{delimiter}a\n")
    assert read(path, delimiter=delimiter).rows() == [(1, "a")]


def test_a_short_row_of_csv_is_missing_its_last_cells(tmp_path: Path) -> None:
    """As Polars reads it."""
    assert read(file_of(tmp_path, "t.csv", "x,c\n1,a\n2\n")).rows() == [(1, "a"), (2, None)]


CELLS = st.none() | st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), min_size=1, max_size=5)


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "ndjson", "arrow"])
@given(cells=st.lists(CELLS.filter(lambda cell: cell not in NULL_WORDS), max_size=8))
@settings(max_examples=40)
def test_text_survives_each_format(
    tmp_path_factory: pytest.TempPathFactory, ending: str, cells: list[str | None]
) -> None:
    """Quotes, delimiters, line ends within cells, other scripts."""
    frame = pl.DataFrame({"c": ["first", *cells], "d": ["x"] * (len(cells) + 1)})
    path = file_of(tmp_path_factory.getbasetemp(), f"t.{ending}", content_of(ending, frame))
    assert_frame_equal(read(path), frame)


# ------------------------------------------------------------------------------------------------------ refused

REFUSED: dict[str, tuple[str, str | bytes, str]] = {
    "an empty file": ("t.csv", "", "is empty. Give a file with a header and rows."),
    "blank lines": ("t.csv", "\n \n", "is empty. Give a file with a header and rows."),
    "a header only": ("t.csv", "x,y\n", "has 0 rows and 2 columns. Give at least a few dozen rows."),
    "a parquet file without rows": ("t.parquet", content_of("parquet", FRAME.clear()), "has 0 rows and 3 columns."),
    "a repeated name": ("t.csv", "x,y,x\n1,2,3\n", "has more than one column 'x'. Give each column a name of its own."),
    "a column without a name": ("t.csv", "x,,y\n1,2,3\n", "has a column without a name (number 2). Name it."),
    "a long row": ("t.csv", "x,y\n1,2\n1,2,3\n", "Each row needs 2 cells; put cells that hold the delimiter in"),
    "semicolons": ("t.csv", "x;y\n1;2\n", "has one column, 'x;y', when split at ','. It seems to be separated by ';'"),
    "tabs": ("t.csv", "x\ty\n1\t2\n", r"It seems to be separated by '\t': use --delimiter '\t', or give the table"),
    "commas in tsv": (
        "t.tsv",
        "x,y\n1,2\n",
        r"when split at '\t'. It seems to be separated by ',': name it .csv, or give the table",
    ),
    "semicolons in tsv": (
        "t.tsv.gz",
        gzip.compress(b"x;y\n1;2\n"),
        "separated by ';': name it .csv and use --delimiter ';', or give the table",
    ),
    "a stray line end": ("t.csv", "x\ry,z\n1,2\n", "has no csv header in its first line: "),
    "latin-1": ("t.csv", "x,y\na,1\nMünchen,2\n".encode("latin1"), "is not UTF-8: line 3 holds the byte 0xfc. Save it"),
    "no parquet": ("t.parquet", "x,y\n1,2\n", "cannot be read as parquet: "),
    "no arrow": ("t.arrow", "x,y\n1,2\n", "cannot be read as arrow: "),
    "half an arrow file": ("t.arrow", content_of("arrow")[:300], "cannot be read as arrow: "),
    "half a parquet file": ("t.parquet", content_of("parquet")[:-20], "cannot be read as parquet: "),
    "no json": ("t.ndjson", '{"x": 1}\n{"x": \n', "cannot be read as ndjson: "),
    "half a gzip file": ("t.csv.gz", gzip.compress(CSV.encode())[:-9], "is gzip that cannot be unpacked: "),
    "broken gzip": ("t.csv.gz", gzip.compress(b"a" * 999)[:14] + b"\xff" * 9, "is gzip that cannot be unpacked: "),
    "no ending": ("table", CSV, "does not tell its format. Name it with one of .csv, .tsv, .parquet"),
    "another ending": ("t.xlsx", CSV, "does not tell its format. Name it with one of .csv, .tsv, .parquet"),
    "gz alone": ("t.gz", CSV, "does not tell its format. Name it with one of .csv, .tsv, .parquet"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_file_without_a_table_is_refused(tmp_path: Path, what: str) -> None:
    """With its path, what is wrong, and what to do."""
    name, content, message = REFUSED[what]
    path = file_of(tmp_path, name, content)
    with raises(DataError, message) as caught:
        read(path)
    assert repr(path) in str(caught.value)


def test_a_path_without_a_file_is_named_with_the_folder_it_was_taken_from() -> None:
    """A misspelt relative path is the usual reason."""
    with raises(DataError, f"There is no file 'no.csv'. Check the path; it is taken from {str(Path.cwd())!r}."):
        read("no.csv")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """Even if it is named like one."""
    (tmp_path / "t.csv").mkdir()
    with raises(DataError, "is a folder. Name a file in it."):
        read(tmp_path / "t.csv")


@pytest.mark.parametrize("delimiter", ["", ";;", "é", "\n", '"'])
def test_a_delimiter_that_is_none_is_refused(tmp_path: Path, delimiter: str) -> None:
    """One character, of one byte, that is neither a quote nor a line end."""
    with raises(DataError, f"The delimiter {delimiter!r} is not one character. Use one such as ',' or ';'."):
        read(file_of(tmp_path, "t.csv", CSV), delimiter=delimiter)


@given(data=st.binary(max_size=80))
@settings(max_examples=60)
@pytest.mark.parametrize("ending", ["csv", "ndjson", "arrow", "parquet", "csv.gz"])
def test_any_bytes_are_a_table_or_refused(tmp_path_factory: pytest.TempPathFactory, ending: str, data: bytes) -> None:
    """Never another error."""
    try:
        read(file_of(tmp_path_factory.getbasetemp(), f"any.{ending}", data))
    except DataError as error:
        assert str(error)  # noqa: PT017 - either is right


# ---------------------------------------------------------------------------------------------------- addresses


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, without a line on stderr for each."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Garbage(BaseHTTPRequestHandler):
    """Answers what is not HTTP, or less than it said."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """By the path."""
        short = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nx,y\n1,2\n"
        self.wfile.write(short if "short" in self.path else b"I am no web server\r\n\r\n")
        self.close_connection = True


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The address at which the files of tmp_path are served."""
    yield from _serve(partial(Quiet, directory=str(tmp_path)))


@pytest.fixture
def garbage() -> Iterator[str]:
    """The address of a server that speaks no HTTP."""
    yield from _serve(Garbage)


def _serve(handler: Any) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("ending", ["csv", "parquet", "ndjson", "arrow"])
def test_an_address_is_read_like_a_file(tmp_path: Path, address: str, ending: str) -> None:
    """Its format is that of its path, whatever query follows; gzip too."""
    file_of(tmp_path, f"t.{ending}", content_of(ending))
    file_of(tmp_path, f"t.{ending}.gz", gzip.compress(content_of(ending)))
    assert_frame_equal(read(f"{address}/t.{ending}"), FRAME)
    assert_frame_equal(read(f"{address}/t.{ending}.gz?version=1.2&a=b.txt"), FRAME)


def test_an_address_without_a_file_is_told_with_the_servers_answer(address: str) -> None:
    """404, in words."""
    url = f"{address}/no.csv"
    with raises(FetchError, f"{url!r} answered 404 File not found. Check the address."):
        read(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1/t.csv", "[Errno 111] Connection refused"),
        ("http://127.0.0.1:1/two words.csv", "URL can't contain control characters"),
        ("http://127.0.0.1:port/t.csv", "nonnumeric port"),
        ("http:///t.csv", "no host given"),
    ],
)
def test_an_address_that_does_not_answer_is_told_with_the_reason(url: str, reason: str) -> None:
    """One line, exit code 1."""
    with raises(FetchError, reason) as caught:
        read(url)
    assert str(caught.value).startswith(f"{url!r} did not answer: ")
    assert str(caught.value).endswith("Check the address and the network.")


@pytest.mark.parametrize("path", ["short.csv", "t.csv"])
def test_a_server_that_speaks_no_http_is_told(garbage: str, path: str) -> None:
    """Or that stops in the middle."""
    with raises(FetchError, f"'{garbage}/{path}' did not answer: "):
        read(f"{garbage}/{path}")


def test_an_address_that_is_none_is_refused() -> None:
    """Python's parser raises for it."""
    with raises(DataError, "'http://[half/t.csv' is no address: Invalid IPv6 URL. Correct it."):
        read("http://[half/t.csv")


# ----------------------------------------------------------------------------------------------------- objects


class Capsule:
    """Only the Arrow capsule interface."""

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """As pyarrow gives it."""
        return FRAME.to_arrow().__arrow_c_stream__(requested_schema)


@pytest.mark.parametrize(
    "data",
    [
        FRAME,
        FRAME.lazy(),
        FRAME.to_arrow(),
        FRAME.to_arrow().to_batches()[0],
        Capsule(),
        FRAME.to_dict(as_series=False),
        FRAME.to_dicts(),
    ],
    ids=lambda data: type(data).__name__,
)
def test_tables_of_other_libraries_are_taken(data: Any) -> None:
    """Polars, lazy or not; pyarrow; anything with Arrow's capsules; plain dictionaries."""
    assert_frame_equal(read(data).cast({"town": pl.String}), FRAME)


def test_a_pandas_frame_is_taken_with_its_missing_values() -> None:
    """NaN, None, NaT, NA and categories; the index is not data."""
    frame = pd.DataFrame(
        {
            "x": [1.0, float("nan")],
            "c": ["a", None],
            "t": pd.to_datetime(["2024-05-01", None]),
            "i": pd.array([1, None], dtype="Int64"),
            "k": pd.Categorical(["u", None]),
            7: [True, False],
        },
        index=["p", "q"],
    )
    found = read(frame)
    assert found.columns == ["x", "c", "t", "i", "k", "7"]
    assert found.null_count().row(0) == (1, 1, 1, 1, 1, 0)
    assert found.get_column("k").cast(pl.String).to_list() == ["u", None]


def test_reading_leaves_the_callers_frame_alone() -> None:
    """The same Polars frame comes back, unchanged."""
    assert read(FRAME) is FRAME


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (42, "a builtins int is no table: "),
        (None, "'a builtins NoneType' has 0 rows and 0 columns."),
        (pd.DataFrame({"a": [1, "x"]}), "a pandas DataFrame is no table: "),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "'a pandas DataFrame' has more than one column 'a'."),
        (pa.table([[1], [2]], names=["a", "a"]), "a pyarrow Table is no table: "),
        (pl.DataFrame({"a": []}), "'a polars DataFrame' has 0 rows and 1 columns."),
        (pl.DataFrame({"": [1]}), "has a column without a name (number 1). Name it."),
        (pl.scan_csv("/no/such.csv"), "a polars LazyFrame cannot be collected: "),
        (FRAME.lazy().select("no"), "a polars LazyFrame cannot be collected: "),
        (FRAME.lazy().select(pl.col("town").cast(pl.Int64)), "a polars LazyFrame cannot be collected: "),
    ],
    ids=[
        "int",
        "None",
        "pandas mixed",
        "pandas repeated",
        "pyarrow repeated",
        "empty",
        "no name",
        "gone",
        "no",
        "cast",
    ],
)
def test_what_is_no_table_is_refused(data: Any, message: str) -> None:
    """In words, whatever library raised."""
    with raises(DataError, message):
        read(data)


# ---------------------------------------------------------------------------------------------- names and digests


def test_a_source_is_described_as_the_user_wrote_it() -> None:
    """A path or an address as it is, an object by its library and type."""
    assert describe("http://x/t.csv") == "http://x/t.csv"
    assert describe(Path("a/t.csv")) == "a/t.csv"
    assert describe(FRAME) == "a polars DataFrame"


def test_formats_are_told_by_the_last_ending() -> None:
    """A name may hold further points."""
    assert format_of("flights.2013.csv") == "csv"
    assert format_of("/a.b/t.tsv.gz") == "tsv"
    assert format_of("https://x.org/v1.2/t.parquet?x=y.csv") == "parquet"


def test_equal_tables_have_equal_digests_whatever_file_they_came_from(tmp_path: Path) -> None:
    """Different values, orders, names and types have different ones."""
    found = [
        digest(read(file_of(tmp_path, f"t.{ending}", content_of(ending)))) for ending in ("csv", "parquet", "arrow")
    ]
    assert set(found) == {digest(FRAME)}
    others = [
        FRAME.reverse(),
        FRAME.rename({"x": "z"}),
        FRAME.with_columns(pl.col("x").fill_null(0)),
        FRAME.cast({"x": pl.Float64}),
        FRAME.head(2),
    ]
    assert len({digest(FRAME), *map(digest, others)}) == 6


def test_lists_and_structs_count_for_the_digest() -> None:
    """What is in them, and columns of nulls alone by their names."""
    frame = pl.DataFrame({"l": [[1]], "s": [{"a": 1}], "n": [None]})
    others = [
        pl.DataFrame({"l": [[2]], "s": [{"a": 1}], "n": [None]}),
        frame.select("l", "n"),
        frame.rename({"n": "m"}),
    ]
    assert len({digest(frame), *map(digest, others)}) == 4


def test_dates_in_csv_are_not_guessed(tmp_path: Path) -> None:
    """01/05/2024 is May in one country and January in another: it stays text, as everything that is no ISO date."""
    path = tmp_path / "t.csv"
    path.write_text("when\n01/05/2024\n02/05/2024\n")
    assert read(path).schema["when"] == pl.String


def test_codes_with_leading_zeros_stay_text(tmp_path: Path) -> None:
    """01234 is no number; a padded hour is, and so is 0."""
    lines = [f"{n * 37 % 99999:05},{n % 24:02},{n % 3},0.{n:03},{n}" for n in range(300)]
    frame = read(file_of(tmp_path, "t.csv", "\n".join(["zip,hour,n,share,big", *lines])))
    assert frame.schema == {"zip": pl.String, "hour": pl.Int64, "n": pl.Int64, "share": pl.Float64, "big": pl.Int64}
    assert frame.get_column("zip").head(2).to_list() == ["00000", "00037"]
    semicolons = read(file_of(tmp_path, "u.csv", "zip;x\n12345;1\n01234;2\n"), delimiter=";")
    assert semicolons.get_column("zip").to_list() == ["12345", "01234"]
