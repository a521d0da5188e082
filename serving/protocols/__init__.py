"""Protocols: the ways of other servers to ask, each a file or a package of its own.

A protocol knows paths, headers, shapes of bodies and of errors. It hands what a body asks to `serving/engine.py` and
writes what comes back; `serving/__main__.py` has the table of their paths. Invocations, which most clients use, are in
`serving/invocations.py`.

What may not live here: ASGI and Litestar, the meaning of a row, and how a model is run.
"""
