"""The container with no network at all, and nothing to write to but /tmp."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

from tests.conftest import DATA, DEMO_MODEL, ROOT

READ_ONLY = (
    'mount -t tmpfs tmpfs /tmp && mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && '
    'mount -o remount,ro,bind / && exec "$@"'
)
FENCE = ["unshare", "--net", "--mount", "sh", "-euc", READ_ONLY, str(ROOT)]

CALLER = """
    import fcntl, http.client, json, os, signal, socket, struct, subprocess, sys, time

    with socket.socket() as any_socket:  # a new network has its loopback switched off: SIOCSIFFLAGS, IFF_UP
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))
    for place in sys.argv[2:]:
        try:
            open(place + "/written", "w")
        except OSError:
            continue
        sys.exit(place + " can be written")
    server = subprocess.Popen([sys.executable, sys.argv[2] + "/serve"], stdout=sys.stderr)
    try:
        def send(method, path, body=None):
            caller = http.client.HTTPConnection("127.0.0.1", 8080, timeout=60)
            caller.request(method, path, body)
            answer = caller.getresponse()
            return answer.status, answer.read().decode()

        ends_s = time.monotonic() + 60
        while True:
            try:
                if send("GET", "/ping")[0] == 200:
                    break
            except OSError:
                pass
            assert time.monotonic() < ends_s and server.poll() is None
            time.sleep(0.05)  # there is no other clock than the server's own
        answers = [send("POST", "/invocations", open(sys.argv[1], "rb"))]
        answers.append(send("POST", "/invocations", '{"s3_uri": "s3://calls/monday.mp3"}'))
    finally:
        server.send_signal(signal.SIGTERM)
        status = server.wait(30)
    print(json.dumps({"answers": answers, "status": status, "left": os.listdir("/tmp")}))
"""


@pytest.fixture
def fence() -> list[str]:
    """A command before which another one has neither network nor disk."""
    try:
        ended = subprocess.run([*FENCE, "true"], capture_output=True, text=True, timeout=30, check=False)
    except OSError as error:
        pytest.skip(f"no unshare: {error}")
    if ended.returncode:
        pytest.skip(f"this user may make no namespaces: {ended.stderr.strip()}")
    return FENCE


@pytest.mark.timeout(180)
def test_it_works_with_no_network_and_writes_nowhere_but_to_tmp(fence: list[str]) -> None:
    ended = subprocess.run(
        [
            *FENCE,
            sys.executable,
            "-c",
            textwrap.dedent(CALLER),
            str(DATA / "en-two-phrases.mp3"),
            str(ROOT),
            "/",
            "/var",
        ],
        env={
            "MODEL_ID": str(DEMO_MODEL),
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "S3_CONNECT_TIMEOUT_SECONDS": "1",
            "S3_MAX_ATTEMPTS": "1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "eu-central-1",
        },
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr[-4000:]
    told = json.loads(ended.stdout)
    (heard, text), (refused, reason) = told["answers"]
    assert (heard, bool(json.loads(text)["text"])) == (200, True)
    assert (refused, json.loads(reason)["code"]) == (502, "source_unavailable")
    assert (told["status"], told["left"]) == (0, [])
