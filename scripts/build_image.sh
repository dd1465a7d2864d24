#!/usr/bin/env bash
# Build an image with docker or buildah, whichever is there. docs/images.md explains the choices.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/build_image.sh [-h] [--gpu] [--family {whisper,parakeet,voxtral}] [--model ID]
                              [--revision REV] [--compute-type TYPE] [--token-file FILE] [--pip-conf FILE] [--base IMAGE]
                              [--platform PLATFORM] [--tag TAG] [--builder {docker,buildah}] [-- ARGUMENT ...]

Build the CPU image, or with --gpu the CUDA one.

options:
  -h, --help            show this help message and exit
  --gpu                 build Dockerfile.gpu instead of Dockerfile
  --family FAMILY       whose libraries to install: whisper, parakeet or voxtral (default: whisper)
  --model ID            the model to bake: demo, or an id on the Hugging Face hub (default: demo for whisper on CPU,
                        Systran/faster-whisper-large-v3 on GPU; istupakov/parakeet-tdt-0.6b-v3-onnx for parakeet;
                        mistralai/Voxtral-Mini-3B-2507 for voxtral)
  --revision REV        branch, tag or commit of the model on the hub (default: main)
  --compute-type TYPE   COMPUTE_TYPE of the image; of a Parakeet, int8 bakes the files in 8 bits (default: the model's own;
                        float16 for whisper on GPU)
  --token-file FILE     file with a hub token, for models that need one; it does not stay in the image
  --pip-conf FILE       pip's configuration, for a package index of your own; it does not stay in the image
  --base IMAGE          image to build on: Debian with Python 3.11 (default: python:3.11-slim-bookworm)
  --platform PLATFORM   what to build for (default: linux/amd64)
  --tag TAG             name of the image (default: transcriber:cpu or transcriber:gpu; transcriber:parakeet-cpu,
                        transcriber:voxtral-gpu ...)
  --builder BUILDER     docker or buildah (default: docker when its daemon answers, else buildah)
  ARGUMENT ...          handed to the builder as they are, such as --no-cache or --volume
TEXT
}

complain() {
    echo "build_image.sh: $1" >&2
    exit 2
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
dockerfile=Dockerfile
family=whisper
tag=
platform=linux/amd64
builder=
arguments=()

while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --gpu) dockerfile=Dockerfile.gpu; shift; continue ;;
        --) shift; arguments+=("$@"); break ;;
        --family | --model | --revision | --compute-type | --token-file | --pip-conf | --base | --platform | --tag | --builder)
            [ $# -ge 2 ] || complain "$1 wants a value; --help says which" ;;
        *) complain "unknown option $1; --help lists them" ;;
    esac
    case $1 in
        --family) family=$2 ;;
        --compute-type) arguments+=(--build-arg "COMPUTE_TYPE=$2") ;;
        --model) arguments+=(--build-arg "MODEL_ID=$2") ;;
        --revision) arguments+=(--build-arg "MODEL_REVISION=$2") ;;
        --token-file) arguments+=(--secret "id=hf_token,src=$2") ;;
        --pip-conf) arguments+=(--secret "id=pip_conf,src=$2") ;;
        --base) arguments+=(--build-arg "BASE_IMAGE=$2") ;;
        --platform) platform=$2 ;;
        --tag) tag=$2 ;;
        --builder) builder=$2 ;;
    esac
    shift 2
done

kind=$([ $dockerfile = Dockerfile ] && echo cpu || echo gpu)
# Take a build argument that was not chosen above.
otherwise() {
    [[ " ${arguments[*]} " == *" $1="* ]] || arguments=(--build-arg "$1=$2" "${arguments[@]}")
}
case $family in
    whisper) [ -n "$tag" ] || tag=transcriber:$kind ;;
    parakeet)
        [ -n "$tag" ] || tag=transcriber:parakeet-$kind
        otherwise COMPUTE_TYPE default
        otherwise MODEL_ID istupakov/parakeet-tdt-0.6b-v3-onnx
        otherwise REQUIREMENTS requirements-parakeet$([ $kind = cpu ] || echo -gpu).txt ;;
    voxtral)
        [ -n "$tag" ] || tag=transcriber:voxtral-$kind
        otherwise COMPUTE_TYPE default
        otherwise MODEL_ID mistralai/Voxtral-Mini-3B-2507
        otherwise REQUIREMENTS requirements-voxtral.txt ;;
    *) complain "--family is whisper, parakeet or voxtral, not $family" ;;
esac

if [ -z "$builder" ]; then
    if docker info >/dev/null 2>&1; then
        builder=docker
    elif command -v buildah >/dev/null; then
        builder=buildah
    else
        complain "neither a docker daemon nor buildah is here; install one of them"
    fi
fi
# SageMaker's CreateModel refuses OCI manifests and the index that provenance brings along: docker's own format it is.
case $builder in
    docker) build=(docker build --provenance=false --output type=docker) ;;
    buildah) build=(buildah build --format docker --layers) ;;
    *) complain "--builder is docker or buildah, not $builder" ;;
esac
exec "${build[@]}" --file "$root/$dockerfile" --platform "$platform" --tag "$tag" "${arguments[@]}" "$root"
