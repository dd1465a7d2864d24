#!/usr/bin/env bash
# Submit one object of S3 to an asynchronous endpoint again and again with the AWS CLI, then wait for the answers.
set -uo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/invoke_async_loop.sh [-h] --endpoint NAME [--times N] [--every SECONDS] [--wait SECONDS]
                                    [--region REGION] [--attributes TEXT] s3://BUCKET/KEY

Submit an object of S3 to an asynchronous endpoint N times with the AWS CLI, then look for transcripts and failures.

options:
  -h, --help           show this help message and exit
  --endpoint NAME      an asynchronous endpoint
  --times N            how often (default: 10)
  --every SECONDS      from one submission to the next, and from one look to the next (default: 5)
  --wait SECONDS       give up waiting so long after the last submission (default: 1800); the jobs go on
  --region REGION      default: that of your AWS configuration
  --attributes TEXT    options of docs/http.md, such as 'language=de;word_timestamps=true'

Times are known as well as looks are frequent; scripts/invoke_async.py knows them better.
The exit status is 0 when every job has a transcript.
TEXT
}

complain() {
    echo "invoke_async_loop.sh: $1" >&2
    exit 2
}

endpoint='' input='' times=10 every=5 wait=1800
region=() options=()
while [ $# -gt 0 ]; do
    case $1 in
        -h | --help) usage; exit 0 ;;
        --endpoint | --times | --every | --wait | --region | --attributes)
            [ $# -ge 2 ] || complain "$1 wants a value; --help says which" ;;
        -*) complain "unknown option $1; --help lists them" ;;
        *)
            [ -z "$input" ] || complain "one object at a time, not $input and $1"
            input=$1; shift; continue ;;
    esac
    case $1 in
        --endpoint) endpoint=$2 ;;
        --times) times=$2 ;;
        --every) every=$2 ;;
        --wait) wait=$2 ;;
        --region) region=(--region "$2") ;;
        --attributes) options+=(--custom-attributes "$2") ;;
    esac
    shift 2
done
[ -n "$endpoint" ] || complain "--endpoint is needed; aws sagemaker list-endpoints shows those that there are"
[[ $input =~ ^s3://[^/]+/.+ ]] || complain "name an object, such as s3://bucket/recording.mp3, not '$input'"
[[ $times =~ ^[1-9][0-9]*$ ]] || complain "--times is a whole number from 1 on, not $times"
[[ $every =~ ^[0-9]+([.][0-9]+)?$ ]] || complain "--every is a number of seconds, not $every"
[[ $wait =~ ^[0-9]+$ ]] || complain "--wait is a whole number of seconds, not $wait"
command -v aws >/dev/null || complain "the AWS CLI is not here: https://aws.amazon.com/cli/"

outputs=() failures=() begun=()

# Is there an object at s3://bucket/key?
is_there() {
    local rest=${1#s3://}
    [[ $1 == s3://* ]] &&
        aws s3api head-object --bucket "${rest%%/*}" --key "${rest#*/}" "${region[@]}" >/dev/null 2>&1
}

tell_rest() {
    [ ${#outputs[@]} -eq 0 ] || echo "invoke_async_loop.sh: still running, and will go on: ${outputs[*]}" >&2
}

trap 'tell_rest; exit 130' INT TERM
export AWS_MAX_ATTEMPTS=1 # each submission is one job

failed=0
for ((number = 1; number <= times; number++)); do
    if said=$(aws sagemaker-runtime invoke-endpoint-async --endpoint-name "$endpoint" --input-location "$input" \
        --invocation-timeout-seconds 3600 "${region[@]}" "${options[@]}" \
        --query '[OutputLocation, FailureLocation]' --output text 2>&1); then
        read -r output failure <<<"$said"
        outputs[number]=$output failures[number]=$failure begun[number]=$SECONDS
        printf '%s  %d/%d  submitted  %s\n' "$(date +%T)" "$number" "$times" "$output"
    else
        failed=$((failed + 1))
        printf '%s  %d/%d  refused    %s\n' "$(date +%T)" "$number" "$times" "$(tr -s '\n' ' ' <<<"$said")"
    fi
    [ "$number" -eq "$times" ] || sleep "$every"
done

deadline=$((SECONDS + wait))
while [ ${#outputs[@]} -gt 0 ]; do
    for number in "${!outputs[@]}"; do
        if is_there "${outputs[number]}"; then
            status='done' where=${outputs[number]}
        elif is_there "${failures[number]}"; then
            status=failed where=${failures[number]}
            failed=$((failed + 1))
        else
            continue
        fi
        printf '%s  %d/%d  %-9s  %4d s  %s\n' "$(date +%T)" "$number" "$times" "$status" \
            "$((SECONDS - begun[number]))" "$where"
        unset "outputs[number]"
    done
    [ ${#outputs[@]} -gt 0 ] || break
    [ "$SECONDS" -lt "$deadline" ] || break
    sleep "$every"
done
tell_rest
echo "$times jobs, $failed failed or refused, ${#outputs[@]} still running"
[ "$failed" -eq 0 ] && [ ${#outputs[@]} -eq 0 ]
