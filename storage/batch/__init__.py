"""Scoring files in bulk: batch transform, for the command line, the API and Python alike.

    transform.py   what is to be done, how far it is, and how it ended: plain data
    places.py      files, folders, patterns and object stores
    plan.py        what is read and written, and whether it can be
    engine.py      the loop: chunks in, parts out, in order; begin reading here
    chunks.py      a file as frames of some thousand rows; lines.py cuts text, rows.py finds broken rows in it
    scoring.py     a frame as the bytes of its results
    parts.py       what is done already, on disk, so that a killed transform goes on
    sinks.py       parts put together, and put in their place
    jobs.py        transforms as jobs of a store

It is in `storage` because training (`autopilot predict`) and serving (jobs of the API) both score files, may not import
each other, and a second way of scoring a file would be a second answer.

Decisions:
    Threads, not processes: onnxruntime and Polars let go of the interpreter. Two threads scored as many rows a second
        as the model alone did, less what their CPU time tells (0.9 of it). Of a row's 10 us on the model of
        `bench/batch.py` some 0.6 hold the interpreter, to make strings for the model and of its labels: a dozen cores
        can be busy.
    Results are committed in the order of the rows. What is on disk is then always the beginning of the output, and to
        go on needs two numbers: the rows that are done, and where in the file they end.
    Text is cut by bytes and read here, and not by Polars' scan, so that a gzipped file is read as a plain one, a chunk
        is as large as memory allows however wide the rows, and a broken row is one row's fault.
    Parquet is read in windows of some chunks, each for itself: Polars' own batches read ahead, and take more memory
        the larger the file is.
    csv and ndjson grow by appending. Parquet and Arrow, which have a table of contents, are parts that Polars puts
        together in the end.
"""

from storage.batch.transform import FileDone, Progress, Summary, Transform, TransformJob

__all__ = ["FileDone", "Progress", "Summary", "Transform", "TransformJob"]
