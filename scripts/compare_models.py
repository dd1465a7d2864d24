"""Compare models side by side: latency, throughput at 1 to 20 callers, and error rates over recordings of known text.

Starts this container once for each model, or takes servers that run already, and lets them take turns under the same
closed loops; while one is measured those that were started here are frozen. With a manifest, each model then hears
every recording in it, and its errors are counted (jiwer's rates, over lower-case words without punctuation).

    python scripts/compare_models.py demo=models/demo tiny=build/tiny-shape
    python scripts/compare_models.py whisper=demo parakeet=build/parakeet-v3 --manifest tests/data/manifest.jsonl
    python scripts/compare_models.py turbo=http://127.0.0.1:8081 voxtral=http://127.0.0.1:8082 --write
    python scripts/compare_models.py --report COMPARISON.json       tables and plots anew, without measuring

A family whose packages are in an environment of their own is started with that one's Python:

    python scripts/compare_models.py whisper=demo voxtral=build/voxtral --python voxtral=.venv-voxtral/bin/python
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from fleet.load.comparison import Comparison, Score, from_json, report_of, to_json  # noqa: E402 - the line above makes it importable
from fleet.load.driver import complaint_of  # noqa: E402
from fleet.load.errors import CannotMeasure  # noqa: E402
from fleet.load.http_line import HttpLine  # noqa: E402
from fleet.load.record import LABELS, Aims, Material, Record  # noqa: E402
from fleet.load.sides import Side, free_port, started  # noqa: E402
from fleet.load.turns import Loads, Turns  # noqa: E402
from fleet.numbers import positive, wholes  # noqa: E402
from scripts.evaluation.manifest import Recording, read_manifest  # noqa: E402
from scripts.evaluation.scoring import UNSPACED, error_rate  # noqa: E402
from scripts.load_bench.machine import machine, versions  # noqa: E402
from scripts.load_bench.material import Cutter  # noqa: E402
from scripts.load_bench.page import Shelf  # noqa: E402
from scripts.load_bench.warming import warm_up  # noqa: E402

LOGS = ROOT / "build" / "compare_models" / "logs"

HEARD_AT_ONCE = 8
"""Recordings of the manifest in flight at once: the order of batches changes no text, and the device is kept busy."""

ANY_SOUND = "application/octet-stream"
LIBRARIES = ("ctranslate2", "faster-whisper", "onnxruntime", "numpy", "av")

SHELF = Shelf(
    program="compare_models",
    part="comparison",
    file="comparison.json",
    read=from_json,
    written=to_json,
    shown=lambda comparison, pictures: report_of(comparison, pictures=pictures),
    plotted=lambda comparison: comparison.record,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One of those that are compared.

    Attributes:
        name: How the tables call it.
        source: A MODEL_ID, or the address of a server that runs already.
        python: What starts the container for it.
    """

    name: str
    source: str
    python: str

    @property
    def runs_already(self) -> bool:
        """Whether somebody else has started it."""
        return self.source.startswith(("http://", "https://"))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure or read a comparison, print the tables, write them with their plots."""
    argv = sys.argv[1:] if argv is None else argv
    arguments = parse(argv)
    SHELF.main(arguments, lambda: compare(models_of(arguments), arguments, argv))


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("models", nargs="*", type=named, metavar="NAME=MODEL", help="a MODEL_ID, or the address of a running server")
    add(
        "--python", type=named, action="append", default=[], metavar="NAME=PATH", help="what starts that model's server"
    )
    add("--manifest", type=Path, help="count errors over its recordings; scripts/make_recordings.py makes one")
    add("--callers", type=wholes, default=(1, 5, 10, 20), help="of the closed loop (default: 1,5,10,20)")
    add("--recordings", type=wholes, default=(15, 30, 60), help="their lengths, in seconds (default: 15,30,60)")
    add("--seconds", type=positive, default=6.0, help="that each load runs on each model in each round (default: 6)")
    add("--rounds", type=int, choices=range(1, 11), default=1, metavar="N", help="how often (default: 1)")
    add("--title", default="Models side by side", help="of the record, and its folder's name")
    add("--out", type=Path, help="folder for the record's own folder (default: build/compare_models)")
    add("--write", action="store_true", help="write into docs/benchmarks and renew docs/benchmarks.md")
    add("--report", type=Path, metavar="COMPARISON.json", help="measure nothing; tables and plots of this record")
    return parser.parse_args(argv)


def models_of(arguments: argparse.Namespace) -> tuple[Model, ...]:
    """Return what is to be compared.

    Raises:
        CannotMeasure: Nothing, or a name that is none or not alone, or a Python for a model that is not among them.
    """
    names = [name for name, _ in arguments.models]
    if not names:
        raise CannotMeasure("name the models, such as: demo=models/demo turbo=http://127.0.0.1:8080")
    for name in names:
        if name in LABELS or not re.fullmatch(r"[\w.-]+", name):
            raise CannotMeasure(
                f"a model cannot be called {name!r}; names are letters, digits, '.', '-' and '_', and not the "
                f"benchmark's own {', '.join(LABELS)}"
            )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise CannotMeasure(f"two models are called {twice!r}; the tables tell them apart by their names")
    pythons = dict(arguments.python)
    stray = next((name for name in pythons if name not in names), None)
    if stray is not None:
        raise CannotMeasure(f"--python names {stray!r}, but the models are {', '.join(names)}")
    return tuple(
        Model(name=name, source=source, python=pythons.get(name, sys.executable)) for name, source in arguments.models
    )


def compare(models: Sequence[Model], arguments: argparse.Namespace, argv: Sequence[str]) -> Comparison:
    """Start the servers, let them take turns, stop them."""
    texts = read_manifest(arguments.manifest) if arguments.manifest else []
    if texts and find_spec("jiwer") is None:
        raise CannotMeasure("error rates need jiwer; run: pip install -r requirements-bench.txt")
    cutter = Cutter()
    material = {length_s: cutter.cuts(length_s) for length_s in arguments.recordings}
    with ExitStack() as stack:
        sides = [stack.enter_context(running(model)) for model in models]
        words = {side.name: warm_up(side, material) for side in sides}
        for side in sides:
            side.freeze()
        loads = len(material) * len(arguments.callers) * len(sides)
        progress = stack.enter_context(tqdm(total=loads * arguments.rounds, unit="load"))

        def tell(what: str) -> None:
            progress.update(bool(progress.desc))  # what was told before is done
            progress.set_description(what)

        turns = Turns(
            loads=Loads(callers=arguments.callers, recordings=material, seconds=arguments.seconds),
            sides=sides,
            tell=tell,
        )
        for _ in range(arguments.rounds):
            for length_s in material:
                turns.closed(length_s)
        progress.update()
        scores = tuple(score for side in sides for score in scores_of(side, texts))
    record = Record(
        title=arguments.title,
        date=dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        command=shlex.join(["python", "scripts/compare_models.py", *argv]).replace(f"{ROOT}/", ""),
        machine=machine(),
        model=", ".join(model.name for model in models),
        versions=dict(versions(LIBRARIES)),
        seconds=arguments.seconds,
        rounds=arguments.rounds,
        aims=Aims(),
        sides=tuple(side.name for side in sides),
        words=words,
        idle_cpu=turns.idle_cpu(),
        recordings=tuple(
            Material(recording_s=length_s, cuts=len(cuts), windows=sum(one.windows for one in cuts))
            for length_s, cuts in material.items()
        ),
        measured=tuple(turns.measured()),
    )
    return Comparison(
        record=record,
        models={model.name: model.source.replace(f"{ROOT}/", "") for model in models},
        manifest=arguments.manifest.name if arguments.manifest else "",
        scores=scores,
    )


def running(model: Model) -> AbstractContextManager[Side]:
    """Return a model's server, as a context that starts and stops it, unless it runs already."""
    if model.runs_already:
        return nullcontext(Side(name=model.name, url=model.source))
    port = free_port()
    folder = Path(model.source)
    return started(
        model.name,
        [model.python, str(ROOT / "serve")],
        port=port,
        logs=LOGS,
        environment={"PORT": str(port), "MODEL_ID": str(folder.resolve()) if folder.is_dir() else model.source},
    )


def scores_of(side: Side, texts: Sequence[Recording]) -> Iterator[Score]:
    """Let a model hear every recording, and count its errors by language.

    Raises:
        CannotMeasure: It refuses one.
    """
    if not texts:
        return
    side.thaw()
    with ThreadPoolExecutor(HEARD_AT_ONCE) as pool:
        answers = pool.map(lambda recording: heard_by(side, recording), texts)
        heard = list(tqdm(answers, total=len(texts), desc=f"{side.name} hears", unit="recording"))
    side.freeze()
    pairs = list(zip(texts, heard, strict=True))
    for language in dict.fromkeys(recording.language for recording in texts):
        own = [(recording.text, text) for recording, text in pairs if recording.language == language]
        if language is None:
            measure, rate = "recordings", sum(bool(text) for _, text in own) / len(own)
        else:
            measure = "characters" if language in UNSPACED else "words"
            rate = error_rate(own, language) or 0.0
        yield Score(side=side.name, language=language, measure=measure, recordings=len(own), error_rate=rate)


def heard_by(side: Side, recording: Recording) -> str:
    """Return what a model makes of one recording, its language left to be detected."""
    line = HttpLine(side.url)
    try:
        reply = line.ask("POST", "/invocations", recording.path.read_bytes(), ANY_SOUND)
    finally:
        line.close()
    complaint = complaint_of(reply)
    if complaint:
        side.check()
        raise CannotMeasure(f"{side.name} refuses {recording.path.name}: {complaint}")
    return str(json.loads(reply.body)["text"])


def named(text: str) -> tuple[str, str]:
    """Read a name and what it stands for.

    Raises:
        ArgumentTypeError: One of them is missing.
    """
    name, found, value = (part.strip() for part in text.partition("="))
    if not (name and found and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name and what it stands for, such as demo=models/demo")
    return name, value


def stop(_number: int, _frame: FrameType | None) -> None:
    """End as on Ctrl-C, so that nothing that was started is left behind."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    main()
