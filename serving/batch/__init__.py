"""Working off transforms that a store keeps as jobs: `python -m serving.batch --store URL`.

    dispatcher.py  in the server: starts a worker when a job waits, and sees how it ends
    allowed.py     where jobs that are asked for over HTTP may read and write
    worker.py      in a process of its own: claims a job, runs it, and renews its lease meanwhile
    __main__.py    that process

How files are scored is in `storage.batch`, which `autopilot predict` uses too.

Decisions:
    A job runs in a process of its own, at a lower priority: what it does to memory is done to it alone, and requests
        come first.
    A worker is stopped by ending its process, wherever it is: parts on disk are whole, and a run of the model cannot
        be interrupted otherwise.
    Workers hear of their server's death by the end of their standard input, which works for kill -9 too.
"""
