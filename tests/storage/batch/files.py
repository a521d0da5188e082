"""Files of rows and of results, in each format."""

import gzip
from pathlib import Path

import polars as pl
import zstandard

#: Of chunks, where the fixture `small_chunks` is asked for.
CHUNK_ROWS = 100


def write(frame: pl.DataFrame, path: Path) -> Path:
    """Write a frame in the format, and packed, as the path says; `.stream.arrow` is an Arrow stream."""
    path.parent.mkdir(parents=True, exist_ok=True)
    name = path.name.removesuffix(".gz").removesuffix(".zst")
    plain = path.with_name(name)
    if name.endswith(".tsv"):
        frame.write_csv(plain, separator="\t")
    elif name.endswith(".stream.arrow"):
        frame.write_ipc_stream(plain)
    else:
        writers = {
            "csv": frame.write_csv,
            "parquet": frame.write_parquet,
            "ndjson": frame.write_ndjson,
            "arrow": frame.write_ipc,
        }
        writers[name.rpartition(".")[2]](plain)
    if name != path.name:
        pack = gzip.compress if path.name.endswith(".gz") else zstandard.ZstdCompressor().compress
        path.write_bytes(pack(plain.read_bytes()))
        plain.unlink()
    return path


def read(path: Path) -> pl.DataFrame:
    """A file of results, csv with all cells as text."""
    data, name = path.read_bytes(), path.name
    if name.endswith(".gz"):
        data, name = gzip.decompress(data), name[:-3]
    if name.endswith(".zst"):
        data, name = zstandard.ZstdDecompressor().stream_reader(data, read_across_frames=True).read(), name[:-4]
    if name.endswith((".csv", ".tsv")):
        return pl.read_csv(data, separator="\t" if name.endswith(".tsv") else ",", infer_schema=False)
    readers = {"parquet": pl.read_parquet, "ndjson": pl.read_ndjson, "arrow": pl.read_ipc}
    return readers[name.rpartition(".")[2]](data)
