# The CPU image. docs/images.md says how to build it, how to bake a model into it, and how large it is.
# Dockerfile.gpu says the same line by line, with CUDA.

ARG BASE_IMAGE=python:3.11-slim-bookworm


FROM ${BASE_IMAGE} AS dependencies
# Whisper's, unless another family's are chosen: docs/models.md.
ARG REQUIREMENTS=requirements.txt
COPY ${REQUIREMENTS} /build/
# Wheels only: no compiler, here or in the image. The lists are whole; what a package would bring along that is not in them
# is left out on purpose. Whoever has a package index of their own gives pip's configuration as
# a build secret. What is compiled here is never compared with its source again; PyTorch has a file for Python 3.12 that
# 3.11 cannot compile.
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    python -m venv --without-pip /opt/venv \
    && python -m pip --python /opt/venv/bin/python install --no-cache-dir --no-compile \
       --only-binary=:all: --require-hashes --no-deps --requirement "/build/${REQUIREMENTS}" \
    && /opt/venv/bin/python -m compileall -q --invalidation-mode unchecked-hash -x '/py312_' /opt/venv/lib


# The model: `demo` from this repository, or any other from the Hugging Face hub. It may weigh gigabytes, so it lies
# below the code, in a layer that keeps its place in every registry and cache when the service changes.
FROM dependencies AS weights
ARG MODEL_ID=demo
ARG MODEL_REVISION=main
ARG COMPUTE_TYPE=default
COPY scripts/fetch_model.py /build/scripts/
COPY models/demo /build/models/demo
RUN --mount=type=secret,id=hf_token \
    /opt/venv/bin/python /build/scripts/fetch_model.py --revision "${MODEL_REVISION}" --compute-type "${COMPUTE_TYPE}" \
       --into /opt/models "${MODEL_ID}"


FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Speech to text for SageMaker (CPU)" \
      org.opencontainers.image.description="Transcribes audio behind /invocations" \
      com.amazonaws.sagemaker.capabilities.accept-bind-to-port="true"

# The slim Python brings no compiled modules, and a read-only container cannot keep its own: 1 s of every start.
RUN python -m compileall -q --invalidation-mode unchecked-hash -x 'site-packages|lib2to3' \
    "$(python -c 'import os; print(os.path.dirname(os.__file__))')"

# Not below /opt/ml/model: SageMaker mounts over it, with an empty folder when CreateModel names no model.
COPY --from=weights /opt/models /opt/models
COPY --from=dependencies /opt/venv /opt/venv

ARG MODEL_ID=demo
ARG COMPUTE_TYPE=default
# /tmp is the only place that SageMaker surely lets a container write. numpy starts no threads of its own, because here
# requests run side by side.
ENV PATH=/opt/program:/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MODEL_ID=${MODEL_ID} \
    MODEL_CACHE_DIR=/opt/models \
    DEVICE=cpu \
    COMPUTE_TYPE=${COMPUTE_TYPE} \
    HF_HOME=/tmp/hf \
    OPENBLAS_NUM_THREADS=1

WORKDIR /opt/program
COPY serve app.py inference.py gunicorn.conf.py ./
COPY transcriber ./transcriber
RUN python -m compileall -q --invalidation-mode unchecked-hash /opt/program

EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10m \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/ping' % os.environ.get('PORT', '8080'), timeout=2)"]

# SageMaker runs `docker run IMAGE serve`: what it appends replaces CMD and reaches `serve` as an argument that it ignores.
# No shell and no init stand before it: `serve` becomes gunicorn, so that process 1 gets SIGTERM and reaps its worker.
# No USER: SageMaker expects root.
ENTRYPOINT ["python", "/opt/program/serve"]
CMD ["serve"]
