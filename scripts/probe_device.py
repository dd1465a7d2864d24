#!/usr/bin/env python3
"""Measure what a device does with a Whisper: the numbers from which batch sizes, workers and options are chosen.

    python scripts/make_shape_model.py turbo build/turbo-shape --quantization float16
    python scripts/probe_device.py --model build/turbo-shape --device cuda --out build/probe.json

No server, no recordings: CTranslate2 alone, over windows of noise. Give it a model of `make_shape_model.py`, whose
windows all have the same number of tokens. The record has each measurement with its unit, its points and how it ended;
one that fails is recorded with its message and does not stop the others. It is written anew after each of them, so that
what was measured is kept when the program is stopped. docs/gpu.md says what each of them means.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import re
import shlex
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from device_probe.measurements import MEASUREMENTS, Measurement, Probe  # noqa: E402 - needs the line above
from device_probe.running import Outcome, measure_all, measure_here, write_events  # noqa: E402

BUDGET_S = 120.0
LIBRARIES = ("ctranslate2", "faster-whisper", "numpy", "nvidia-cublas-cu12")


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print and record."""
    argv = sys.argv[1:] if argv is None else argv
    chosen = parse(argv)
    named = {it.name: it for it in MEASUREMENTS}
    probe = Probe(folder=chosen.model, device=chosen.device, compute_type=chosen.compute_type)
    if chosen.measure_here:
        write_events(measure_here([named[name] for name in chosen.only], probe, seconds=chosen.budget_seconds))
        return
    if not (chosen.model / "model.bin").is_file():
        sys.exit(f"probe_device.py: {chosen.model} holds no model.bin; scripts/make_shape_model.py makes such a folder")
    began_s = time.monotonic()
    record: dict[str, object] = {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "command": shlex.join(["python", "scripts/probe_device.py", *argv]).replace(f"{ROOT}/", ""),
        "machine": machine(),
        "versions": dict(versions()),
        "model": model_of(chosen.model),
        "device": chosen.device,
        "compute_type": chosen.compute_type,
        "budget_s": chosen.budget_seconds,
    }

    def keep(outcomes: Sequence[Outcome]) -> None:
        record["took_s"] = round(time.monotonic() - began_s, 1)
        record["measurements"] = [outcome.document() for outcome in outcomes]
        write(chosen.out, record)

    def command(measurements: Sequence[Measurement], seconds: float) -> Sequence[str]:
        names = [it.name for it in measurements]
        options = ["--model", str(chosen.model), "--device", chosen.device, "--compute-type", chosen.compute_type]
        program = [sys.executable, str(Path(__file__).resolve()), *options, "--out", str(chosen.out)]
        return [*program, "--budget-seconds", str(seconds), "--measure-here", "--only", *names]

    with tempfile.TemporaryDirectory(prefix="cuda-kernels-") as kernels:
        outcomes = measure_all(
            [named[name] for name in chosen.only],
            device=chosen.device,
            seconds=chosen.budget_seconds,
            command=command,
            # An empty folder for compiled kernels, so that the first process has to compile them.
            environment={"CUDA_CACHE_PATH": os.environ.get("CUDA_CACHE_PATH", kernels)},
            keep=keep,
        )
    print("\n".join(lines_of(outcomes)))
    if not any(outcome.points for outcome in outcomes):
        sys.exit("probe_device.py: nothing could be measured")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    names = [it.name for it in MEASUREMENTS]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="folder of a Whisper in CTranslate2's format")
    parser.add_argument("--device", choices=("cpu", "cuda"), required=True)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.json", help="the record")
    parser.add_argument("--compute-type", help="default: float16 on cuda, on a cpu as the model was saved")
    parser.add_argument(
        "--budget-seconds", type=float, default=BUDGET_S, help="for all together (default: %(default)s)"
    )
    parser.add_argument("--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--measure-here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args(argv)
    chosen.compute_type = chosen.compute_type or ("float16" if chosen.device == "cuda" else "default")
    return chosen


def write(path: Path, record: dict[str, object]) -> None:
    """Write the record whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(json.dumps(record, indent=1) + "\n", "utf-8")
    unfinished.replace(path)


def lines_of(outcomes: Sequence[Outcome]) -> list[str]:
    """Sum up for a reader: a line for each point, and one for what could not be measured."""
    lines = []
    for outcome in outcomes:
        for point in outcome.points:
            case = [f"{name} {point[name]}" for name in list(point)[: list(point).index("value")]]
            lines.append(
                f"{outcome.measurement.name:20} {', '.join(case):44} {point['value']} {outcome.measurement.unit}"
            )
        if outcome.status != "measured":
            lines.append(f"{outcome.measurement.name:20} {outcome.status}: {outcome.reason}")
    return lines


def machine() -> dict[str, object]:
    """Say what this ran on; the GPU tells about itself in the measurement `driver`."""
    cpuinfo = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    name = re.search(r"model name\s*:\s*(.+)", cpuinfo)
    return {
        "cpu": name[1] if name else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str | None]:
    """Return the versions of what the speed depends on; None for what is not installed."""
    found: dict[str, str | None] = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def model_of(folder: Path) -> dict[str, object]:
    """Say which model this is; those of `make_shape_model.py` tell what they were made from."""
    told = folder / "shape.json"
    made_from = json.loads(told.read_text("utf-8")) if told.is_file() else {}
    size_mb = round((folder / "model.bin").stat().st_size / 1e6, 1)
    return {"folder": folder.resolve().name, "size_mb": size_mb, **made_from}


if __name__ == "__main__":
    main()
