#!/usr/bin/env bash
# Send one recording to a real-time endpoint again and again with the AWS CLI, and print status and latency.
set -uo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/invoke_loop.sh [-h] --endpoint NAME [--times N] [--every SECONDS] [--region REGION]
                              [--attributes TEXT] RECORDING

Send RECORDING, a file, to a real-time endpoint N times with the AWS CLI.

options:
  -h, --help           show this help message and exit
  --endpoint NAME      a real-time endpoint
  --times N            how often (default: 10)
  --every SECONDS      from the end of one call to the next (default: 5)
  --region REGION      default: that of your AWS configuration
  --attributes TEXT    options of docs/http.md, such as 'language=de;word_timestamps=true'

Latencies hold the start of the AWS CLI itself, about a second; scripts/invoke_realtime.py measures without.
The exit status is 0 when every call was answered.
TEXT
}

complain() {
    echo "invoke_loop.sh: $1" >&2
    exit 2
}

endpoint='' recording='' times=10 every=5
options=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --endpoint | --times | --every | --region | --attributes)
            [ $# -ge 2 ] || complain "$1 wants a value; --help says which" ;;
        -*) complain "unknown option $1; --help lists them" ;;
        *)
            [ -z "$recording" ] || complain "one recording at a time, not $recording and $1"
            recording=$1; shift; continue ;;
    esac
    case $1 in
        --endpoint) endpoint=$2 ;;
        --times) times=$2 ;;
        --every) every=$2 ;;
        --region) options+=(--region "$2") ;;
        --attributes) options+=(--custom-attributes "$2") ;;
    esac
    shift 2
done
[ -n "$endpoint" ] || complain "--endpoint is needed; aws sagemaker list-endpoints shows those that there are"
[ -n "$recording" ] || complain "name a recording, such as tests/data/en-one-phrase.wav"
[[ -r $recording && -f $recording ]] || complain "$recording is no file that can be read"
[[ $times =~ ^[1-9][0-9]*$ ]] || complain "--times is a whole number from 1 on, not $times"
[[ $every =~ ^[0-9]+([.][0-9]+)?$ ]] || complain "--every is a number of seconds, not $every"
[ -n "${EPOCHREALTIME:-}" ] || complain "this needs bash 5"
command -v aws >/dev/null || complain "the AWS CLI is not here: https://aws.amazon.com/cli/"

answer=$(mktemp) || exit 1
said=$(mktemp) || exit 1
trap 'rm -f "$answer" "$said"' EXIT
trap 'echo "invoke_loop.sh: interrupted" >&2; exit 130' INT TERM
export AWS_MAX_ATTEMPTS=1 # each line is one call

failed=0
for ((number = 1; number <= times; number++)); do
    begun=${EPOCHREALTIME/[.,]/}
    if aws sagemaker-runtime invoke-endpoint --endpoint-name "$endpoint" --body "fileb://$recording" \
        --content-type application/octet-stream --cli-read-timeout 70 "${options[@]}" "$answer" \
        >/dev/null 2>"$said"; then
        status=ok line=$(head -c 300 "$answer")
    else
        status=failed line=$(tr -s '\n' ' ' <"$said" | head -c 600)
        failed=$((failed + 1))
    fi
    printf '%s  %d/%d  %-6s  %6d ms  %s\n' "$(date +%T)" "$number" "$times" "$status" \
        "$(((${EPOCHREALTIME/[.,]/} - begun) / 1000))" "$(tr -s '\n' ' ' <<<"$line")"
    [ "$number" -eq "$times" ] || sleep "$every"
done
echo "$times calls, $failed failed"
[ "$failed" -eq 0 ]
