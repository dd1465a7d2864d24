from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from transcriber.engines import environment

ALL = "fpu sse avx2 avx512f avx512dq avx512ifma avx512cd avx512bw avx512vl"


WIDE = ("CT2_FORCE_CPU_ISA", "AVX512")


def variables_with(flags: str, tmp_path: Path) -> dict[str, str]:
    cpu_info = tmp_path / "cpuinfo"
    cpu_info.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbogomips\t: 4000\n", "utf-8")
    return environment.variables("cpu", cpu_info)


def test_wide_vectors_are_asked_for_where_all_of_them_are_there(tmp_path: Path) -> None:
    assert WIDE in variables_with(ALL, tmp_path).items()


@pytest.mark.parametrize("missing", sorted(environment.AVX512))
def test_one_that_is_missing_is_enough_to_leave_it(missing: str, tmp_path: Path) -> None:
    assert WIDE[0] not in variables_with(ALL.replace(missing, ""), tmp_path)


def test_a_machine_that_does_not_tell_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nFeatures\t: fp asimd\n", "utf-8")

    assert WIDE[0] not in environment.variables("cpu", tmp_path / "cpuinfo")
    assert WIDE[0] not in environment.variables("cpu", tmp_path / "missing")


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_memory_is_kept_where_the_model_may_run_on_a_cpu(device: str) -> None:
    tunables = environment.variables(device)["GLIBC_TUNABLES"].split(":")

    assert "glibc.malloc.mmap_max=0" in tunables
    assert f"glibc.malloc.arena_max={2 * len(os.sched_getaffinity(0))}" in tunables


@pytest.mark.parametrize("cores", [1, 96])
def test_glibc_knows_every_setting_of_the_memory_and_takes_its_value(cores: int) -> None:
    """It says nothing of what it does not know, but the dynamic linker lists what has come of them."""
    given = dict(setting.split("=") for setting in environment.allocator(cores).split(":"))
    listed = subprocess.run(
        [next(Path("/").glob("lib64/ld-linux-*.so.*")), "--list-tunables"],
        env={"GLIBC_TUNABLES": environment.allocator(cores)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    taken = dict(line.split(" (")[0].split(":") for line in listed.splitlines())

    assert {name: int(taken[name], 0) for name in given} == {name: int(value) for name, value in given.items()}


def test_what_is_for_a_cpu_is_not_set_for_a_gpu() -> None:
    assert environment.variables("cuda") == {"OPENBLAS_NUM_THREADS": "1"}


def test_ctranslate2_runs_with_what_this_machine_is_found_to_have() -> None:
    """It ends with an error when it is told to use instructions that the processor has not."""
    subprocess.run(
        [sys.executable, "-c", "import ctranslate2; ctranslate2.get_supported_compute_types('cpu')"],
        env=os.environ | environment.variables("cpu"),
        check=True,
        capture_output=True,
    )
