"""What `python -m bench.serving` is made of: one file a question, and what they share.

    throughput.py   one row at a time            overload.py   more than can be answered
    batches.py      many rows in one body        rest.py       a server that nobody asks

    subject.py      what is served and asked: a table, a fitted model, bodies
    processes.py    servers as processes on a core of their own: their CPU, memory and time to ready
    apps.py         the floors beside us, and granian
    wrk.py          load that waits for its answers     open_loop.py   load that waits for nobody
    lines.py        what was measured, as JSON lines and as tables

A server has one core: it runs on the first CPU and its load on the second, so that neither takes from the other.
"""
