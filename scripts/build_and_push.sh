#!/usr/bin/env bash
# Build one of the two images and push it to ECR, where SageMaker pulls from. docs/aws.md leads through.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/build_and_push.sh [-h] --repository NAME [--region R] [--gpu] [--model ID] [--tag TAG]
                                 [--builder {docker,podman,buildah}] [--no-build] [--dry-run] [-- ARGUMENT ...]

Build an image with scripts/build_image.sh, make the repository if it is missing, log in, push, and print the image's
address for scripts/deploy.py. Only that address goes to stdout.

options:
  -h, --help          show this help message and exit
  --repository NAME   repository in ECR, such as transcriber
  --region R          region of the repository; SageMaker pulls from its own only (default: your AWS configuration's)
  --gpu               the CUDA image instead of the CPU one
  --model ID          the model to bake: demo, or an id on the Hugging Face hub (default: the Dockerfile's own)
  --tag TAG           tag in ECR (default: gpu or cpu)
  --builder BUILDER   docker, podman or buildah (default: the first that works)
  --no-build          push what was built before as transcriber:gpu or transcriber:cpu
  --dry-run           print the commands and run none that builds, makes or pushes anything
  ARGUMENT ...        handed to scripts/build_image.sh as they are, such as --revision REV
TEXT
}

complain() {
    echo "build_and_push.sh: $1" >&2
    exit "${2:-2}"
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
repository=
region=
kind=cpu
tag=
builder=
builds=true
is_dry=false
arguments=()

while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --gpu) kind=gpu; shift; continue ;;
        --no-build) builds=false; shift; continue ;;
        --dry-run) is_dry=true; shift; continue ;;
        --) shift; arguments+=("$@"); break ;;
        --repository | --region | --model | --tag | --builder)
            [ $# -ge 2 ] || complain "$1 wants a value; --help says which" ;;
        *) complain "unknown option $1; --help lists them" ;;
    esac
    case $1 in
        --repository) repository=$2 ;;
        --region) region=$2 ;;
        --model) arguments=(--model "$2" "${arguments[@]}") ;;
        --tag) tag=$2 ;;
        --builder) builder=$2 ;;
    esac
    shift 2
done

[ -n "$repository" ] || complain "--repository is needed, such as --repository transcriber"
[[ $repository =~ ^[a-z0-9]+([._/-][a-z0-9]+)*$ ]] ||
    complain "$repository cannot be a repository: ECR takes small letters, digits, and . _ - / between them"
tag=${tag:-$kind}
[[ $tag =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] ||
    complain "$tag cannot be a tag: up to 128 letters, digits, and . _ - that do not begin with . or -"
command -v aws >/dev/null || $is_dry || complain "the AWS CLI is needed; see docs.aws.amazon.com/cli"
if [ -z "$region" ]; then
    region=${AWS_REGION:-${AWS_DEFAULT_REGION:-$(aws configure get region 2>/dev/null || true)}}
    [ -n "$region" ] || complain "no region is set; add --region, such as --region eu-central-1"
fi

if [ -z "$builder" ]; then
    if docker info >/dev/null 2>&1; then
        builder=docker
    elif command -v podman >/dev/null; then
        builder=podman
    elif command -v buildah >/dev/null; then
        builder=buildah
    else
        complain "neither a docker daemon nor podman nor buildah is here; install one of them" 1
    fi
fi
case $builder in
    docker) build_with=docker; push=(docker push) ;;
    # podman builds with buildah and both share one store. SageMaker takes docker's own manifests.
    podman) build_with=buildah; push=(podman push --format v2s2) ;;
    buildah) build_with=buildah; push=(buildah push --format v2s2) ;;
    *) complain "--builder is docker, podman or buildah, not $builder" ;;
esac
if $builds && [ "$builder" = podman ] && ! command -v buildah >/dev/null; then
    complain "building needs docker or buildah; install buildah, which shares podman's images" 1
fi

# Commands go to stderr as they run: stdout is for the address.
run() {
    printf '+' >&2
    printf ' %q' "$@" >&2
    printf '\n' >&2
    $is_dry || "$@" >&2
}

if $is_dry; then
    account=$(aws sts get-caller-identity --query Account --output text 2>/dev/null) || account=ACCOUNT_ID
else
    account=$(aws sts get-caller-identity --query Account --output text) ||
        complain "AWS does not know you; run aws configure or aws sso login, or set AWS_PROFILE" 1
fi
suffix=amazonaws.com
[[ $region != cn-* ]] || suffix=amazonaws.com.cn
registry=$account.dkr.ecr.$region.$suffix
image=$registry/$repository:$tag
built=transcriber:$kind

if $builds; then
    build=("$root/scripts/build_image.sh" --builder "$build_with" --tag "$built")
    [ "$kind" = cpu ] || build+=(--gpu)
    run "${build[@]}" "${arguments[@]}"
fi

create=(aws ecr create-repository --repository-name "$repository" --region "$region")
if $is_dry; then
    echo "# only if the repository is missing:" >&2
    run "${create[@]}"
elif ! found=$(aws ecr describe-repositories --repository-names "$repository" --region "$region" 2>&1); then
    [[ $found == *RepositoryNotFoundException* ]] || complain "the repository cannot be looked at: ${found//$'\n'/ }" 1
    run "${create[@]}"
fi

# The password goes from one to the other and is never a command's argument, which everybody on the machine can read.
echo "+ aws ecr get-login-password --region $region | $builder login --username AWS --password-stdin $registry" >&2
$is_dry || aws ecr get-login-password --region "$region" |
    "$builder" login --username AWS --password-stdin "$registry" >&2 || complain "$registry does not let you log in" 1

run "$builder" tag "$built" "$image"
run "${push[@]}" "$image"

echo "$image"
