"""Async invocations: accepted at once, answered later, told by a webhook.

    POST ── acceptance.py ── store ── worker.py ── Invocations ── store ── GET .../output
                                          └── webhooks.py ── POST to whoever wants to know

- `routes.py`: the paths; `acceptance.py`: what becomes of a request that asks for an answer later;
- `worker.py`: takes what waits, answers it and keeps the answer; `calm.py`: after whom; `slots.py`: how many at once;
- `webhooks.py`: who may be told; `views.py`: what is shown of an invocation;
- `policy.py`: the settings of all this.

How the SageMaker runtime asks is in `serving/protocols/sagemaker/async_invocations.py`, what is kept in
`storage/async_invocations.py`. What may not live here: how rows are read, run and written. An invocation is answered by
`Invocations`, as all others are, so that its answer is the same to the byte. Start reading at `worker.py`.

Decisions:
    The queue is a table. What was answered with 202 is on disk, survives kill -9 and a power cut, and all servers of a
        store share it. A row costs a commit or three, some milliseconds: who needs thousands a second wants
        `/invocations`, or a batch transform.
    An invocation is answered at least once, and has one answer. A server that is killed may have captured its rows and
        not kept the answer; the next one captures them again, under the same inference id.
    The worker has an engine of its own, with few threads: requests that somebody waits for never queue behind it, and
        what waits here never counts as load there.
    Webhooks are sent by some lines of HTTP on asyncio's streams: a bound on the whole exchange, no proxies, and no
        redirects, which a general client would follow.
"""
