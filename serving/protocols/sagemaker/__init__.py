"""The SageMaker runtime's protocol and the contract of its containers.

By the first, boto3's `sagemaker-runtime` client needs only another `endpoint_url`; by the second, the same server runs
inside SageMaker.

InvokeEndpoint itself, `POST /endpoints/NAME/invocations`, is answered by `serving/invocations.py`. Here is what it is
made of and what stands beside it:

- `headers.py`: what the headers of a request ask, and which of them are refused;
- `errors.py`: errors in the shape that the AWS SDKs parse; start reading there for retries;
- `clarify.py`: explanations in the shape of SageMaker Clarify;
- `streams.py`: InvokeEndpointWithResponseStream, in frames of `event_stream.py`;
- `async_invocations.py`: what InvokeEndpointAsync asks (`serving/asynchronous` does it);
- `container.py`: the paths that the platform asks of a container.

What may not live here: formats of bodies (`serving/formats`).
"""
