# An image of Autopilot that serves on port 8080 and keeps its models in the volume /data:
#   docker build -t autopilot . && docker run -p 8080:8080 -v models:/data autopilot
# SageMaker runs it as `docker run autopilot serve`, and puts a model file into /opt/ml/model (docs/sagemaker.md).
# The base need bring only Python 3.11 or later with venv and pip; both stages use the same one, as the environment made
# in the first stands on the base's interpreter.
ARG BASE=python:3.13-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
# No pip inside: the base's own pip fills the environment, which then carries only what runs.
RUN python3 -m venv --without-pip /opt/autopilot
# Dependencies first: they change seldom, and then this layer is taken from the cache.
COPY requirements.lock ./
RUN python3 -m pip --python /opt/autopilot/bin/python install --no-cache-dir --require-hashes --only-binary :all: \
        -r requirements.lock \
    # the libraries' own tests: a tenth of the image, imported by nothing that runs
    && find /opt/autopilot/lib -type d -name tests -prune -exec rm -r {} + \
    && rm -r /opt/autopilot/lib/python3*/site-packages/onnx/backend/test \
    # LightGBM looks for the system's OpenMP runtime, which slim bases lack; scikit-learn brings the same library along
    && mkdir /opt/autopilot/openmp \
    && ln -s /opt/autopilot/lib/python3*/site-packages/scikit_learn.libs/libgomp*.so* /opt/autopilot/openmp/libgomp.so.1
COPY pyproject.toml README.md LICENSE ./
COPY autopilot autopilot
COPY serving serving
COPY monitor monitor
COPY storage storage
RUN python3 -m pip --python /opt/autopilot/bin/python install --no-cache-dir --no-deps .

FROM ${BASE}
RUN useradd --uid 10001 --create-home autopilot && install --directory --owner 10001 --group 10001 /data
COPY --from=build /opt/autopilot /opt/autopilot
ENV PATH=/opt/autopilot/bin:$PATH \
    LD_LIBRARY_PATH=/opt/autopilot/openmp \
    PYTHONUNBUFFERED=1 \
    AUTOPILOT_HOST=0.0.0.0 \
    AUTOPILOT_STORE=/data
# SageMaker may choose the port, by SAGEMAKER_BIND_TO_PORT, and may put several models behind one endpoint.
LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true \
    com.amazonaws.sagemaker.capabilities.multi-models=true
USER 10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["python", "-c", "import os, urllib.request; \
names = 'AUTOPILOT_PORT', 'PORT', 'SAGEMAKER_BIND_TO_PORT'; \
port = next((os.environ[name] for name in names if os.environ.get(name)), '8080'); \
urllib.request.urlopen(f'http://127.0.0.1:{port}/ping', timeout=2)"]
ENTRYPOINT ["autopilot"]
CMD ["serve"]
