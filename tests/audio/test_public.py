from __future__ import annotations

import pytest

from transcriber.audio.public import is_public


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"],
)
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",  # noqa: S104 - nothing is bound
        "10.0.0.1",
        "172.16.0.1",
        "192.168.1.1",
        "100.64.0.1",  # shared by carriers and by AWS's own networks
        "169.254.169.254",  # the metadata of an instance
        "169.254.170.2",  # the credentials of a container
        "192.0.0.192",  # the metadata of another cloud's instance
        "64:ff9b:1::8.8.8.8",
        "198.18.0.1",
        "224.0.0.1",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
        "fe80::1%eth0",
        "2606:2800:220:1::1%eth0",
        "fc00::1",
        "fd00:ec2::254",  # the metadata of an instance
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::10.0.0.1",
        "2002:7f00:1::",  # 6to4 of 127.0.0.1
        "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo, of 192.0.2.45
        "localhost",
        "",
        "2130706433",
    ],
)
def test_all_others_are_not(address: str) -> None:
    assert not is_public(address)
