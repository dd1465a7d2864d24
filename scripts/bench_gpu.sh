#!/usr/bin/env bash
# Measure everything on a machine with an NVIDIA GPU in one call. docs/gpu.md says what is recorded.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/bench_gpu.sh [-h] [OUT]

Make models of true size with random weights, probe the device with each of them, then put the container and the
baselines under load, and find the ceiling above them. All records go to OUT (default: build/gpu-records), each as soon
as it is there. A stage that fails, or whose part of the time is up, does not stop the next.

Exit status: 0 when every stage ended well, 1 when some did not, 2 when nothing could be begun.

environment:
  BUDGET=570            seconds for everything but the installation
  SHAPES="turbo large-v3"   sizes of the models, those of make_shape_model.py
  TOKENS=100            words in each window
  CALLERS=20,64         of the closed loop            (on a CPU: 1,2)
  SIDES=ours,serial,batched,litserve   which servers; `roofline` may stand among them too, at the cost of a longer stage
  RECORDING_S=30        length of what is sent, in seconds
  LOAD_SECONDS=4        that each load runs on each server   (on a CPU: 1)
  DEVICE=cuda           or cpu, to rehearse
  COMPUTE_TYPE=float16  what CTranslate2 computes in  (on a CPU: default)
  PYTHON=...            an interpreter that has everything; without it one is made in build/gpu-venv, from
                        requirements-gpu.txt and requirements-bench.txt
  WORK=build/gpu        where models and compiled kernels are kept for the next call
TEXT
}

complain() {
    echo "bench_gpu.sh: $1" >&2
    exit 2
}

case ${1-} in
    -h | --help) usage; exit 0 ;;
    -*) complain "unknown option $1; --help says what there is" ;;
esac
[ $# -le 1 ] || complain "one folder at most is wanted, not $#; --help says what else there is"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=$(realpath -m "${1:-$root/build/gpu-records}")
work=$(realpath -m "${WORK:-$root/build/gpu}")
device=${DEVICE:-cuda}
budget=${BUDGET:-570}
tokens=${TOKENS:-100}
sides=${SIDES:-ours,serial,batched,litserve}
recording_s=${RECORDING_S:-30}
read -r -a shapes <<<"${SHAPES:-turbo large-v3}"
case $device in
    cuda)
        quantization=float16 compute_type=${COMPUTE_TYPE:-float16}
        callers=${CALLERS:-20,64} load_seconds=${LOAD_SECONDS:-4}
        roofline=(--workers 1 2 4 --batches 16 48)
        ;;
    cpu)
        quantization=int8 compute_type=${COMPUTE_TYPE:-default}
        callers=${CALLERS:-1,2} load_seconds=${LOAD_SECONDS:-1}
        roofline=(--workers 1 --batches 1 4)
        export CUDA_VISIBLE_DEVICES= # the baselines take a GPU where there is one
        ;;
    *) complain "DEVICE is cuda or cpu, not $device" ;;
esac
[[ $budget =~ ^[0-9]+$ ]] || complain "BUDGET is a number of seconds, not $budget"
mkdir -p "$out" "$work" || complain "$out and $work must be folders that can be written"

cd "$root"
if [ -n "${PYTHON-}" ]; then
    python=$PYTHON
else
    python=$root/build/gpu-venv/bin/python
    if [ ! -e "$root/build/gpu-venv/.installed" ]; then
        maker=$(command -v python3.11 || command -v python3) || complain "there is no python3 to begin with"
        "$maker" -m venv "$root/build/gpu-venv"
        # One after the other: pip refuses a name that two files pin.
        for file in requirements-gpu.txt requirements-bench.txt; do
            "$python" -m pip install --quiet --disable-pip-version-check --require-hashes -r "$file" ||
                complain "$file could not be installed; give an interpreter that has everything as PYTHON"
        done
        touch "$root/build/gpu-venv/.installed"
    fi
fi
command -v "$python" >/dev/null || complain "there is no $python"

export DEVICE=$device COMPUTE_TYPE=$compute_type PYTHONUNBUFFERED=1
export CUDA_CACHE_PATH=${CUDA_CACHE_PATH:-$work/kernels}

ends=$((SECONDS + budget))
weights_left=$((${#shapes[@]} * 21))
failures=0
stages=$out/stages.tsv
printf 'stage\tended\tseconds\tlimit\n' >"$stages"

# stage NAME WEIGHT COMMAND...: run a command in its part of the time that is left, and note how it ended.
stage() {
    local name=$1 weight=$2 status=0 began=$SECONDS
    shift 2
    local limit=$(((ends - SECONDS) * weight / weights_left))
    weights_left=$((weights_left - weight))
    if [ "$limit" -lt 1 ]; then
        ended="no time left"
    else
        echo "bench_gpu.sh: $name, up to $limit s" >&2
        # SIGTERM lets a benchmark stop its servers; what does not stop is killed.
        LIMIT=$limit timeout --signal=TERM --kill-after=20 "$limit" "$@" >"$out/$name.log" 2>&1 || status=$?
        case $status in
            0) ended=well ;;
            124 | 137) ended="time was up" ;;
            *) ended="status $status: $(tail -n 1 "$out/$name.log" | tr -s '\t' ' ')" ;;
        esac
    fi
    printf '%s\t%s\t%s\t%s\n' "$name" "$ended" "$((SECONDS - began))" "$limit" >>"$stages"
    [ "$ended" = well ] || failures=$((failures + 1))
    [ "$ended" = well ]
}

# The probe keeps to a time by itself; it is told a little less than its limit, so that it can end in order.
probe() {
    # shellcheck disable=SC2016 # LIMIT is for the inner shell, where `stage` has set it
    stage "probe-$1" 6 bash -c 'exec "$0" "$@" --budget-seconds "$((LIMIT * 4 / 5))"' "$python" \
        scripts/probe_device.py --model "$work/$1" --device "$device" --compute-type "$compute_type" \
        --out "$out/probe-$1.json"
}

make_shape() {
    local told
    told=$(cat "$work/$1/shape.json" 2>/dev/null || true)
    if [[ $told == *"\"tokens\": $tokens,"*"\"quantization\": \"$quantization\""* ]]; then
        weights_left=$((weights_left - 3))
        return
    fi
    stage "make-$1" 3 "$python" scripts/make_shape_model.py "$1" "$work/$1" \
        --tokens "$tokens" --quantization "$quantization"
}

serve() {
    stage "serve-$1" 8 "$python" scripts/benchmark.py --model "$work/$1" --sides "$sides" --callers "$callers" \
        --recordings "$recording_s" --seconds "$load_seconds" --rounds 1 --quick --title "$1" --out "$out"
}

# Apart from the servers' record, which a long search for the ceiling would put at risk.
find_ceiling() {
    # shellcheck disable=SC2016 # the arguments are for the inner shell
    stage "roofline-$1" 4 bash -c 'file=$0; "$@" >"$file.part" && mv "$file.part" "$file"' "$out/roofline-$1.json" \
        "$python" scripts/baselines/roofline.py --model "$work/$1" --device "$device" --compute-type "$compute_type" \
        --recordings tests/data/two-minutes.flac --seconds "$load_seconds" "${roofline[@]}"
}

for shape in "${shapes[@]}"; do
    if ! make_shape "$shape"; then
        weights_left=$((weights_left - 18))
        continue
    fi
    probe "$shape" || true
    serve "$shape" || true
    find_ceiling "$shape" || true
done

"$python" - "$out" "${shapes[@]}" <<'PYTHON' || failures=$((failures + 1))
"""Sum the records up in a few lines."""
import json
import sys
from pathlib import Path

out, *shapes = sys.argv[1:]
for shape in shapes:
    print(f"\n{shape}")
    file = Path(out) / f"probe-{shape}.json"
    if file.exists():
        ended = [it["status"] for it in json.loads(file.read_text("utf-8"))["measurements"]]
        print("  probe: " + ", ".join(f"{ended.count(status)} {status}" for status in dict.fromkeys(ended)))
    file = Path(out) / shape / "record.json"
    if file.exists():
        for it in json.loads(file.read_text("utf-8"))["measured"]:
            if it["kind"] == "closed":
                told = it["summary"]
                latency = told["latency"] or {"p50_ms": float("nan"), "p95_ms": float("nan")}
                print(
                    f"  {it['side']:10} {it['callers']:3} callers: {told['requests_per_s']:8.2f} requests/s, "
                    f"{told['windows_per_s']:8.2f} windows/s, P50 {latency['p50_ms']:8.0f} ms, "
                    f"P95 {latency['p95_ms']:8.0f} ms, {told['errors']} errors"
                )
    file = Path(out) / f"roofline-{shape}.json"
    if file.exists():
        told = json.loads(file.read_text("utf-8"))
        for name in ("device", "with_preprocessing"):
            best = told[name]
            print(
                f"  roofline, {name.replace('_', ' ')}: {best['windows_per_s']:.2f} windows/s "
                f"({best['workers']} workers, batch {best['batch']})"
            )
PYTHON
echo
column -t -s $'\t' "$stages" 2>/dev/null || cat "$stages"
echo "bench_gpu.sh: the records are in $out"
[ "$failures" -eq 0 ]
