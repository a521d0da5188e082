"""Tables are found by file, folder, pattern and address; results are brought to their place whole."""

import os
from pathlib import Path

import pytest

from storage.batch.places import check_folder, exists, find, is_folder, joined, local_copy, put, remove
from storage.errors import DataError, InputError, UnreachableError
from tests.refusals import raises


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Tables in folders, and what is none."""
    for name in ("a.csv", "b c.parquet", "sub/c.csv.gz", "sub/deep/d.csv", "notes.txt", "_SUCCESS", ".hidden/x.csv"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "in/a.csv.errors.ndjson").write_text("{}")
    return tmp_path / "in"


@pytest.mark.parametrize("scheme", ["", "file://"])
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["a.csv", "b c.parquet", "sub/c.csv.gz", "sub/deep/d.csv"]),
        ("/*.csv", ["a.csv"]),
        ("/**/*.csv", ["a.csv", "sub/deep/d.csv"]),
        ("/sub/*", ["c.csv.gz"]),
        ("/[ab]*", ["a.csv", "b c.parquet"]),
        ("/a.csv", ["a.csv"]),
    ],
)
def test_what_a_source_names_is_found_in_order(scheme: str, pattern: str, names: list[str], folder: Path) -> None:
    """The same on this machine and by an address."""
    found = find(f"{scheme}{folder}{pattern}")
    assert [one.name for one in found.inputs] == names
    assert found.is_one == (pattern == "/a.csv")
    assert found.ignored == (("notes.txt",) if pattern == "" else ())
    assert all(one.place.startswith(f"{scheme}{folder}/") for one in found.inputs)
    assert len({one.stamp for one in find(f"{scheme}{folder}").inputs}) == 4


def test_another_content_has_another_stamp(folder: Path) -> None:
    """So that parts of two files are never put together."""
    for source in (str(folder / "a.csv"), f"file://{folder}/a.csv"):
        before = find(source).inputs[0].stamp
        (folder / "a.csv").write_text(f"longer than before {source}")
        assert find(source).inputs[0].stamp != before


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere", "There is no file '"),
        ("*.xyz", "holds no table. Name csv, tsv, parquet, ndjson or arrow files."),
        ("empty", "holds no table. Name csv"),
        ("only", "holds no table. It has files whose names tell no format. Name csv"),
    ],
)
def test_a_source_without_tables_is_refused(source: str, words: str, tmp_path: Path) -> None:
    """With what there is instead."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "only").mkdir()
    (tmp_path / "only/x.txt").touch()
    with raises(DataError, words):
        find(str(tmp_path / source))


def test_the_folder_that_a_path_is_taken_from_is_told_where_it_matters(tmp_path: Path) -> None:
    """A client of a server, whose paths are whole, need not know where that was started."""
    with raises(DataError, f"There is no file 'none.csv'. Check the path; it is taken from {str(Path.cwd())!r}."):
        find("none.csv")
    with raises(DataError, f"There is no file '{tmp_path}/none.csv'. Check the path."):
        find(f"{tmp_path}/none.csv")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may look everywhere")
def test_a_folder_that_may_not_be_looked_through_is_refused(folder: Path) -> None:
    """Its names can be listed, and nothing else."""
    folder.chmod(0o400)
    with raises(DataError, f"{str(folder)!r} cannot be looked through: Permission denied. Give"):
        find(str(folder))
    folder.chmod(0o700)


def test_an_address_that_leads_nowhere_is_told(tmp_path: Path) -> None:
    """Whether there is nothing at it, or nobody."""
    with raises(DataError, "There is nothing at 'file://"):
        find(f"file://{tmp_path}/none/")
    with raises(InputError, "'ftp://host/x.csv' is no address of an object store."):
        find("ftp://host/x.csv")
    with raises(InputError, "'s3:///x.csv' is no address of an object store."):
        find("s3:///x.csv")


def test_an_object_store_that_does_not_answer_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no fault of the address."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    with raises(UnreachableError, "'http://127.0.0.1:1/x.csv' could not be reached: "):
        find("http://127.0.0.1:1/x.csv")


def test_an_input_of_an_object_store_is_copied(folder: Path, tmp_path: Path) -> None:
    """And one of this machine is not."""
    (one,) = find(f"file://{folder}/b c.parquet").inputs
    copy = local_copy(one, tmp_path)
    assert copy.parent == tmp_path
    assert copy.read_text() == "b c.parquet"
    (one,) = find(str(folder / "a.csv")).inputs
    assert local_copy(one, tmp_path) == folder / "a.csv"


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_a_file_is_brought_to_its_place_and_removed_from_it(scheme: str, tmp_path: Path) -> None:
    """Folders are made; what is not there need not be removed."""
    place = joined(f"{scheme}{tmp_path}/out/", "sub/a.csv")
    for content in ("one", "two"):
        (tmp_path / "whole").write_text(content)
        put(tmp_path / "whole", place)
        assert (tmp_path / "out/sub/a.csv").read_text() == content
        assert not (tmp_path / "whole").exists()
        assert exists(place)
    for _ in range(2):
        remove(place)
        assert not exists(place)


def test_output_goes_into_a_folder_or_a_file(tmp_path: Path) -> None:
    """As its name says, or what is there."""
    (tmp_path / "is.csv").mkdir()
    folders = ["out/", "out", "s3://bucket/out", "s3://bucket/out/", str(tmp_path / "is.csv")]
    assert [is_folder(out) for out in folders] == [True] * 5
    assert [is_folder(out) for out in ("out.csv", "s3://bucket/out.parquet", "out.xlsx")] == [False] * 3


def test_a_place_that_cannot_be_written_is_told_before(tmp_path: Path) -> None:
    """With what to do."""
    (tmp_path / "file").touch()
    with raises(DataError, "There is no folder '"):
        check_folder(str(tmp_path / "none/out.csv"), is_one=True)
    with raises(DataError, "is a file, and is to be a folder."):
        check_folder(str(tmp_path / "file"), is_one=False)
    with raises(InputError, "it is a web server's"):
        check_folder("https://host/out.csv", is_one=True)


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("", "'' is no path."),
        ("a\0b.csv", "is no path."),
        ("~nobody-has-this-name/x.csv", "begins with a home folder that nobody has"),
        (f"{'x' * 300}.csv", "is too long"),
        (f"{'x/' * 3_000}y.csv", "is too long"),
        ("s3://bucket/../x.csv", "has a '..' in it"),
    ],
)
def test_what_can_be_no_place_is_refused(place: str, words: str) -> None:
    """As an input, and as an output, before anything is done."""
    for use in (find, exists, lambda place: check_folder(place, is_one=True)):
        with raises(InputError, words):
            use(place)
