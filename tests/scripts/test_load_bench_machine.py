"""What a record says of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.load_bench.machine import machine


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx2", "A Processor: 64-Core, AVX2, "),
        ("avx2 avx512f avx_vnni", "A Processor: 64-Core, AVX-512, "),
        ("avx2 avx512f avx512_vnni", "A Processor: 64-Core, AVX-512 with VNNI, "),
        ("asimd", "A Processor: 64-Core, "),
    ],
)
def test_the_widest_vectors_stand_behind_the_processor(tmp_path: Path, flags: str, expected: str) -> None:
    file = tmp_path / "cpuinfo"
    file.write_text(f"processor\t: 0\nmodel name\t: A Processor: 64-Core\nflags\t\t: {flags}\n\nprocessor\t: 1\n")
    named = machine(file)

    assert named.startswith(expected)
    assert "cores, " in named.removeprefix(expected)


def test_without_a_list_of_processors_the_architecture_stands_there(tmp_path: Path) -> None:
    assert "cores, " in machine(tmp_path / "none")
