"""A model version in, HTTP out: `python -m serving --store URL --host H --port P`.

What lives here, in the order in which a request meets it:

- `__main__.py` opens the store and the port, and runs uvicorn;
- `hot.py` is the ASGI function that uvicorn calls: it answers `/ping` and invocations, all else goes to Litestar;
- `invocations.py` answers one invocation without knowing ASGI or Litestar; it reads like the table of contents of
  `media.py` (formats and encodings), `endpoints.py` (what is served now), `rows.py` and `csv_rows.py` (body to arrays),
  `answers.py` (arrays to body) and `capture.py` (what was asked and answered, for monitoring);
- `problems.py` turns each error into its status and body; `errors.py` draws their tree;
- `app.py` is the Litestar application: lists, reports, the page at `/` and the OpenAPI document.

What may not live here: anything that trains or judges drift, and any format that another program reads (those are in
`storage`). Start reading at `invocations.py`.

Decisions:
    The hot path is asked before Litestar: framework overhead, 83-117 us a request, costs more than decoding, features
        and 500 trees together. Litestar registers the same routes, so that they are documented, and calls the same
        functions, so that there is one behaviour.
    uvicorn with uvloop and httptools: 23 us of CPU for a raw request against granian's 43 in our measurements.
    Small requests are answered in the event loop, where 25-40 us of inference are shorter than a hop to a thread.
    Rows are decoded by a struct made from the signature; what it refuses is decoded again without types and judged by
        `storage.boundary`, so that there is one meaning of a row and one wording of what is wrong with it.
    No Polars, scikit-learn, LightGBM, hyperopt or onnx is imported: a server starts in about a second.
"""
