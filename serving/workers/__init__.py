"""Several processes that answer on one port: as many as the load asks for, replaced when they die.

- `bounds.py`: between how many; `scaling.py`: how many now, and who has too many connections;
- `supervisor.py`: starts, watches, renews and ends workers;
- `worker.py`: the worker's side; `busy.py`: how busy it is; `messages.py`: what the two tell each other;
- `totals.py`: the metrics of all as those of one; `lines.py`: the access log of all without torn lines.

What may not live here: anything that answers a request. Start reading at `supervisor.py`.

Decisions:
    One process (the default) has no supervisor, and no process more than without this package.
    One listening socket, which the workers inherit, and not one for each by SO_REUSEPORT. When one of two such sockets
        is closed, Linux resets the connections in its queue: 99 of 200 in our measurement, against none of 200 with one
        socket. And an idle worker takes what a busy one has no time for: of 16 new connections it took 12, where
        SO_REUSEPORT, which deals them out by a hash of the addresses, gives each 8. Idle workers share them as evenly
        either way: 12 to 20 of 32.
    Workers are started anew, not forked off a process that has loaded everything. A fork is ready in 0.37 s and has
        44 MB of its own, a new process in 0.78 s and 68 MB. But what onnxruntime, OpenBLAS and Rust's runtimes have in
        threads does not survive a fork, and macOS allows it to no process that has them. A child has to close by hand
        what it should not have (the sockets by which its siblings notice that the supervisor is gone), and a renewal
        would go on with old code and settings.
    The supervisor hears of a death by the end of a socket, and a worker of its supervisor's in the same way: that works
        for kill -9 too, and needs no timer.
    Clients keep their connections, so a new worker would stay idle beside busy ones: these let some go.
"""
