"""A model version in, HTTP out: `python -m serving --store URL --host H --port P`.

What lives here, in the order in which a request meets it:

- `__main__.py` opens the store and the port, and runs uvicorn;
- `server.py` is uvicorn as we want it, and ends so that no client notices; `workers/` runs several on one port;
- `wire.py` answers ordinary invocations right at their connections, past ASGI;
- `hot.py` is the ASGI function that uvicorn calls for the others: predictions and `/ping` go to protocols, all else to
  Litestar;
- `invocations.py` is the main protocol and reads like a table of contents; the others are in `protocols/`. A protocol
  knows paths, headers, shapes of bodies and of errors, and neither ASGI nor Litestar;
- `formats/` reads and writes bodies, one file a format; `media.py` says which are meant, `options.py` what is asked;
- `engine.py` does what all protocols have in common, the fastest way that a body allows: it uses `admission.py` (who is
  answered when there is too much), `drain.py` (what arrives together runs together), `explaining.py`, and `capture.py`
  (what was asked and answered, for monitoring);
- `endpoints.py` keeps what is served now in step with the store;
- `problems.py` turns each error into its status and body; `errors.py` draws their tree;
- `app.py` is the Litestar application: lists, reports, the page at `/`; `documentation.py` makes the OpenAPI document,
  with the columns of each model by `schemas.py`;
- `observed.py` is around all of it: each reply gets its request's id, and what became of a request (`exchange.py`) is
  told to `metrics.py` (`exposition.py` writes them for Prometheus), `access_log.py` and `traces.py`.

What may not live here: anything that trains or judges drift, and any format that another program reads (those are in
`storage`). Start reading at `invocations.py`.

Decisions:
    The hot path is asked before Litestar: framework overhead, 83-117 us a request, costs more than decoding, features
        and 500 trees together. Litestar registers the same routes, so that they are documented, and calls the same
        functions, so that there is one behaviour.
    Ordinary invocations skip ASGI, too: a scope, a task, and messages back and forth were 50 us of 105. uvicorn still
        owns sockets, parser and shutdown, and takes over any request that is out of the ordinary from its beginning.
    uvicorn with uvloop and httptools: 23 us of CPU for a raw request against granian's 43 in our measurements.
    Small requests are answered in the event loop, where 25-40 us of inference are shorter than a hop to a thread; what
        a model's runs cost is measured when it is loaded, and decides what is small.
    Requests that arrive in one turn of the event loop run together, if the model gives each the same bits so. Nobody
        waits for company: there are no windows of time to tune.
    Rows are decoded by a struct made from the signature; what it refuses is decoded again without types and judged by
        `storage.boundary`, so that there is one meaning of a row and one wording of what is wrong with it.
    No scikit-learn, LightGBM or hyperopt is ever imported; Polars and onnx only when a columnar body or an explanation
        asks for them: a server starts in about a second.
"""
