"""The ceiling: raw CTranslate2 over the windows of the recordings, without a server.

Encode, detect the language, search (beam 5, temperature 0, timestamps): what a window of the container's default
request costs the device, at every sensible number of workers and windows in a batch, all workers busy all the time.
The best of it is what no server can pass that asks as much of CTranslate2; the container tells the language of small
models without it (docs/decisions/0016). With preprocessing the windows are made from the recordings' bytes meanwhile,
by the container's own functions on as many threads as there are cores: what a whole server could reach if HTTP and
scheduling were free. A window is counted for each passage of speech; a container that reads a passage on, or tries a
doubtful window again, needs more.

Prints one JSON object; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before anything imports onnxruntime, which would report to its maker

from tqdm import tqdm

from scripts.baselines.bare_device import Device, Plan, Preprocessing, Stock, feed, feed_and_make, total
from scripts.baselines.baseline import device_of, parser_of
from transcriber.engines import cuda, environment
from transcriber.engines.mel import Mel

CPU_BATCHES = (1, 2, 4, 8, 16)
CUDA_BATCHES = (1, 2, 4, 8, 16, 32, 64)
CUDA_WORKERS = (1, 2, 3, 4)

SETBACK = 0.9
"""Larger batches are not tried after one that came to less than this part of the best smaller one: with a larger
model each would take a minute to show that it is slower still."""

FINALISTS = 4
"""Configurations that are tried again with preprocessing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a plan came to; 0.0 where the device had not the memory for it."""

    plan: Plan
    windows_per_s: float
    windows_per_request: float
    is_with_preprocessing: bool

    def document(self) -> dict[str, object]:
        """Return it as it is printed."""
        return {
            "windows_per_s": round(self.windows_per_s, 3),
            "requests_per_s": round(self.windows_per_s / self.windows_per_request, 3),
            **asdict(self.plan),
        }


def main() -> None:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--recordings", type=Path, nargs="+", required=True, help="the recordings that requests send")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each configuration (default: 5)")
    parser.add_argument("--workers", type=int, nargs="+", help="numbers of workers (default: all that make sense)")
    parser.add_argument("--threads", type=int, help="threads of each worker (default: the cores shared out)")
    parser.add_argument("--batches", type=int, nargs="+", help="windows in a batch (default: 1 to 16, on cuda to 64)")
    parser.add_argument(
        "--tell",
        action="store_true",
        help="go on until stopped, with one number of workers and of windows in a batch, and with preprocessing; write "
        "a byte for each window that was read",
    )
    parser.add_argument("--encode", choices=("singly", "together"), help="of a batch (default: both are tried)")
    parser.add_argument(
        "--as-served",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="run under the settings of memory, BLAS and vectors that serve runs under (default: yes)",
    )
    arguments = parser.parse_args()
    if arguments.as_served:
        run_as_served(device_of(arguments))
    if arguments.tell:
        tell(arguments)
    else:
        print(json.dumps(measure(arguments)))


class TellingDevice(Device):
    """A device that writes a byte for each window once it has read it."""

    def read(self, batch: Sequence[Mel], *, encode: str) -> None:
        """Read a batch, and say so."""
        super().read(batch, encode=encode)
        os.write(sys.stdout.fileno(), b"." * len(batch))


def tell(arguments: argparse.Namespace) -> None:
    """Keep the device busy until somebody stops this process."""
    prepare(arguments)
    plan = next(plans_of(arguments))
    feed_and_make(
        TellingDevice(arguments, workers=plan.workers, threads=plan.threads),
        plan,
        Preprocessing(mels_of(arguments.model)),
        [path.read_bytes() for path in arguments.recordings],
        seconds=math.inf,
    )


def prepare(arguments: argparse.Namespace) -> None:
    """Make CUDA's libraries known where they will be needed."""
    if device_of(arguments) == "cuda":
        cuda.prepare((0,))


def run_as_served(device: str) -> None:
    """Become a process with the environment that `serve` makes, unless it is that already."""
    variables = environment.variables(device)
    if any(os.environ.get(name) != value for name, value in variables.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | variables)  # noqa: S606 - no shell


def measure(arguments: argparse.Namespace) -> dict[str, object]:
    """Try every plan without preprocessing, the best of them with it, and return what is printed."""
    prepare(arguments)
    preprocessing = Preprocessing(mels_of(arguments.model))
    recordings = [path.read_bytes() for path in arguments.recordings]
    windows = [window for recording in recordings for window in preprocessing.windows_of(recording)]
    if not windows:
        sys.exit("roofline: there is no speech in the recordings")
    per_request = len(windows) / len(recordings)
    plans = list(plans_of(arguments))
    stock = Stock(windows)

    def figure(device: Device, plan: Plan) -> Figure:
        per_s = speed(lambda: total(feed(device, plan, stock.take, seconds=arguments.seconds)))
        return Figure(plan=plan, windows_per_s=per_s, windows_per_request=per_request, is_with_preprocessing=False)

    def figure_with_preprocessing(device: Device, plan: Plan) -> Figure:
        per_s = speed(lambda: feed_and_make(device, plan, preprocessing, recordings, seconds=arguments.seconds))
        return Figure(plan=plan, windows_per_s=per_s, windows_per_request=per_request, is_with_preprocessing=True)

    alone = tuple(each(plans, figure, arguments, title="device alone"))
    finalists = sorted(alone, key=lambda it: it.windows_per_s, reverse=True)[:FINALISTS]
    whole = tuple(each([it.plan for it in finalists], figure_with_preprocessing, arguments, title="with preprocessing"))
    return {
        "device": max(alone, key=lambda it: it.windows_per_s).document(),
        "with_preprocessing": max(whole, key=lambda it: it.windows_per_s).document(),
        "tried": [it.document() | {"with_preprocessing": it.is_with_preprocessing} for it in (*alone, *whole)],
    }


def plans_of(arguments: argparse.Namespace) -> Iterator[Plan]:
    """Yield every plan that makes sense on the device."""
    if device_of(arguments) == "cuda":
        for workers, batch in itertools.product(arguments.workers or CUDA_WORKERS, arguments.batches or CUDA_BATCHES):
            yield Plan(workers=workers, threads=1, batch=batch, encode=arguments.encode or "together")
        return
    cores = len(os.sched_getaffinity(0))
    halvings = [cores >> bits for bits in range(cores.bit_length())]  # such as 8, 4, 2, 1
    for workers, batch in itertools.product(arguments.workers or halvings, arguments.batches or CPU_BATCHES):
        both = ("singly", "together") if batch > 1 else ("singly",)
        for encode in (arguments.encode,) if arguments.encode else both:
            threads = arguments.threads or max(1, cores // workers)
            yield Plan(workers=workers, threads=threads, batch=batch, encode=encode)


def each(
    plans: Sequence[Plan], figure: Callable[[Device, Plan], Figure], arguments: argparse.Namespace, *, title: str
) -> Iterator[Figure]:
    """Measure each plan, those of one device after the other, so that a model is loaded once for them."""
    ordered = sorted(plans, key=lambda plan: (plan.workers, plan.threads, plan.batch))
    with tqdm(total=len(plans), desc=title, file=sys.stderr) as bar:
        for (workers, threads), group in itertools.groupby(ordered, key=lambda plan: (plan.workers, plan.threads)):
            device = Device(arguments, workers=workers, threads=threads)
            best_per_s = 0.0
            given_up: set[str] = set()
            for plan in group:
                bar.update()
                if plan.encode in given_up:
                    continue
                measured = figure(device, plan)
                yield measured
                if measured.windows_per_s < SETBACK * best_per_s:
                    given_up.add(plan.encode)
                best_per_s = max(best_per_s, measured.windows_per_s)
            device.close()


def speed(run: Callable[[], float]) -> float:
    """Return what a run came to, 0.0 when the device had not the memory for it."""
    try:
        return run()
    except RuntimeError as error:
        if "out of memory" not in str(error):
            raise
        return 0.0


def mels_of(model: Path) -> int:
    """Return how many rows the model's features have."""
    file = model / "preprocessor_config.json"
    return int(json.loads(file.read_text("utf-8"))["feature_size"]) if file.exists() else 80


if __name__ == "__main__":
    main()
