"""The training run: a fixed number of steps, each made again from (seed, step, worker), resumable at checkpoints.

Every worker is one process with one thread on a part of each batch; gradients are averaged. On a machine with other
work to do this is many times faster than threads that wait for one another inside every matrix product.
"""

from __future__ import annotations

import ctypes
import json
import math
import os
import random
import signal
import tempfile
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed
import torch.multiprocessing

from .network import LossWeights, Progress, Shape, Whisper
from .schedule import SCHEDULE, Phase
from .speech import open_bank
from .tokenizer import demo_tokenizer
from .windows import WindowMaker, random_prompt_length

if TYPE_CHECKING:
    from torch import Tensor

CHECKPOINT_EVERY_S = 60
REPORT_EVERY = 50
LARGEST_GRADIENT = 1.0


KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "4000000000", "MALLOC_TRIM_THRESHOLD_": "8000000000"}
"""glibc settings for the workers: keep freed tensors' memory instead of giving it back to the system at every step,
which took a fifth of the time. What is kept grows by 1.5 MB a step, so `_give_back` returns it now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything a training run is made of.

    Attributes:
        work: Folder with the bank; checkpoints and the log go there too.
        seed: Of weights and windows.
        workers: Processes. The figures of a run depend on their number, because each draws its own windows.
        shrink: Divides the number of steps; above 1 for a rehearsal.
    """

    work: Path
    seed: int
    workers: int
    shrink: int = 1
    shape: Shape = field(default_factory=Shape)

    @property
    def checkpoint(self) -> Path:
        """Where the run's state is kept."""
        return self.work / "checkpoint.pt"

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Give the schedule, made shorter for a rehearsal."""
        return tuple(replace(phase, steps=max(2, phase.steps // self.shrink)) for phase in SCHEDULE)

    @property
    def steps(self) -> int:
        """Count the steps of all phases."""
        return sum(phase.steps for phase in self.phases)

    def place(self, step: int) -> tuple[Phase, int]:
        """Find the phase that a step belongs to, and its number there."""
        for phase in self.phases:
            if step < phase.steps:
                return phase, step
            step -= phase.steps
        message = f"step lies {step} past the end of the schedule"
        raise IndexError(message)


def train(run: Run) -> None:
    """Train from the last checkpoint, or from nothing, to the end of the schedule.

    However this process ends, its workers end too: told to when it is stopped (SIGTERM, Ctrl-C), by themselves within
    a step when it is killed.
    """
    if finished_steps(run) >= run.steps:
        return

    def stop(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    os.environ.update(KEEP_MEMORY)  # read when a process starts, so it holds for the workers only
    with tempfile.TemporaryDirectory() as meeting:
        workers = torch.multiprocessing.spawn(  # type: ignore[attr-defined, no-untyped-call, unused-ignore]  # torch
            _work, (run, f"file://{meeting}/workers", os.getpid()), nprocs=run.workers, join=False
        )
        try:
            while not workers.join():  # type: ignore[union-attr, unused-ignore]  # None only where join=True
                pass
        finally:
            for process in workers.processes:
                if process.is_alive():
                    process.terminate()
            signal.signal(signal.SIGTERM, before)


def finished_steps(run: Run) -> int:
    """Count the steps behind the last checkpoint, 0 when there is none."""
    return int(load_checkpoint(run)["step"]) if run.checkpoint.exists() else 0


def load_checkpoint(run: Run) -> dict[str, Any]:  # Any: what torch unpickles
    """Read the last checkpoint: "step", "model", "optimisers"."""
    state: dict[str, Any] = torch.load(run.checkpoint, map_location="cpu")
    return state


class Muon:
    """Muon: every hidden matrix moves by its momentum made orthogonal.

    torch.optim.Muon does the same matrix by matrix; doing all of one shape at once takes a sixth of the time here.

    Source: Keller Jordan, https://kellerjordan.github.io/posts/muon/; the step is scaled to AdamW's usual size after
    "Muon is scalable for LLM training" (Moonshot AI, 2025), so that its rates are understood as AdamW's.
    """

    MOMENTUM = 0.95
    WEIGHT_DECAY = 0.02

    def __init__(self, matrices: list[Tensor]) -> None:
        """Keep the matrices, sorted by shape; their gradients are read at each step."""
        shapes = dict.fromkeys(matrix.shape for matrix in matrices)
        self.groups = [[matrix for matrix in matrices if matrix.shape == shape] for shape in shapes]
        self.momenta = [torch.zeros(len(group), *group[0].shape) for group in self.groups]

    @torch.no_grad()  # type: ignore[untyped-decorator, unused-ignore]  # torch
    def step(self, rate: float) -> None:
        """Move all matrices once."""
        for group, momentum in zip(self.groups, self.momenta, strict=True):
            gradients = torch.stack([matrix.grad for matrix in group if matrix.grad is not None])
            momentum.lerp_(gradients, 1 - self.MOMENTUM)
            moves = _orthogonal(gradients.lerp(momentum, self.MOMENTUM)) * (0.2 * max(group[0].shape) ** 0.5 * rate)
            for matrix, move in zip(group, moves, strict=True):
                matrix.mul_(1 - rate * self.WEIGHT_DECAY).sub_(move)


def _orthogonal(matrices: Tensor) -> Tensor:
    """Bring the singular values of each matrix near 1 by five Newton-Schulz steps, shape (matrices, rows, columns)."""
    wide = matrices.bfloat16() if matrices.shape[1] <= matrices.shape[2] else matrices.bfloat16().mT
    wide = wide / (wide.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(5):
        square = wide @ wide.mT
        wide = 3.4445 * wide + (-4.7750 * square + 2.0315 * square @ square) @ wide
    orthogonal: Tensor = (wide if matrices.shape[1] <= matrices.shape[2] else wide.mT).float()
    return orthogonal


class Optimisers:
    """Muon for the hidden matrices, AdamW for the rest, over gradients that lie in one flat tensor."""

    def __init__(self, network: Whisper) -> None:
        """Lay out the gradients of a network; they stay attached to it."""
        parameters = dict(network.named_parameters())
        hidden = {name for name, value in parameters.items() if value.ndim == 2 and ("_proj" in name or ".fc" in name)}
        self.gradients = torch.zeros(sum(value.numel() for value in parameters.values()))
        place = 0
        for value in parameters.values():
            value.grad = self.gradients[place : place + value.numel()].view_as(value)
            place += value.numel()
        rest = [value for name, value in parameters.items() if name not in hidden]
        self.adam = torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=0, fused=True)
        self.muon = Muon([value for name, value in parameters.items() if name in hidden])

    def step(self, *, adam_rate: float, muon_rate: float) -> None:
        """Follow the gradients, shortened where they are longer than `LARGEST_GRADIENT`."""
        self.gradients *= min(1.0, LARGEST_GRADIENT / max(1e-9, self.gradients.norm().item()))
        for group in self.adam.param_groups:
            group["lr"] = adam_rate
        self.adam.step()
        self.muon.step(muon_rate)

    def state(self) -> dict[str, Any]:  # Any: torch's own
        """Give what a resumed run needs."""
        return {"adam": self.adam.state_dict(), "muon": self.muon.momenta}

    def restore(self, state: dict[str, Any]) -> None:  # Any: torch's own
        """Take up what `state` gave."""
        self.adam.load_state_dict(state["adam"])
        self.muon.momenta = state["muon"]


def _work(rank: int, run: Run, meeting: str, parent: int) -> None:
    """Do one worker's part of the run; the first also shows progress and writes checkpoints."""
    from tqdm import tqdm  # noqa: PLC0415  needed to train only

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, which ends us
    torch.set_num_threads(1)
    torch.manual_seed(run.seed)
    torch.distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=run.workers)
    tokenizer = demo_tokenizer()
    maker = WindowMaker(open_bank(run.work / "bank"), tokenizer, run.seed)
    network = Whisper(tokenizer.get_vocab_size(), run.shape)
    optimisers = Optimisers(network)
    done = 0
    if run.checkpoint.exists():
        state = load_checkpoint(run)
        network.load_state_dict(state["model"])
        optimisers.restore(state["optimisers"])
        done = state["step"]
    saved_s = time.monotonic()
    recent: list[Progress] = []
    with tqdm(total=run.steps, initial=done, desc="training", unit="step", disable=rank != 0, mininterval=5) as bar:
        for step in range(done, run.steps):
            if os.getppid() != parent:
                return
            recent.append(_step(run, step, rank, network, maker, optimisers))
            bar.update()
            if rank == 0 and (step + 1) % REPORT_EVERY == 0:
                bar.set_postfix(_report(run, step + 1, recent[-REPORT_EVERY:]))
                recent.clear()
            if (step + 1) % REPORT_EVERY == 0:
                _give_back()
            if rank == 0 and (time.monotonic() - saved_s > CHECKPOINT_EVERY_S or step + 1 == run.steps):
                _save(run, step + 1, network, optimisers)
                saved_s = time.monotonic()
    torch.distributed.barrier()


def _step(run: Run, step: int, rank: int, network: Whisper, maker: WindowMaker, optimisers: Optimisers) -> Progress:
    phase, phase_step = run.place(step)
    shared = random.Random(f"{run.seed}/{step}")
    mix = shared.choices(phase.mixes, [mix.share for mix in phase.mixes])[0]
    # The prompt's length is drawn for all workers alike, since they wait for the slowest.
    prompt_tokens = random_prompt_length(shared, phase.unprompted)
    own = random.Random(f"{run.seed}/{step}/{rank}")
    batch = maker.batch(
        max(1, mix.windows // run.workers),
        mix.length_s,
        prompt_tokens=prompt_tokens,
        sound=phase.sound,
        translated=phase.translated,
        draw=own,
    )
    optimisers.gradients.zero_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss, progress = network.loss(batch, LossWeights(letters=mix.letters, attention=phase.attention))
    loss.backward()  # type: ignore[no-untyped-call, unused-ignore]  # torch
    torch.distributed.all_reduce(optimisers.gradients)
    optimisers.gradients /= run.workers
    rate = phase.rate(phase_step)
    optimisers.step(adam_rate=rate * phase.adam_rate, muon_rate=rate * phase.muon_rate)
    return progress


def _give_back() -> None:
    """Return freed memory to the system, where the C library is glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _report(run: Run, step: int, recent: list[Progress]) -> dict[str, str]:
    """Append the mean of recent figures to the log and give them for the progress bar."""
    figures = [asdict(progress) for progress in recent]
    means: dict[str, float] = {}
    for name in figures[0]:
        values = [figure[name] for figure in figures if not math.isnan(figure[name])]
        means[name] = round(sum(values) / max(1, len(values)), 4)
    with (run.work / "progress.jsonl").open("a", encoding="utf-8") as log:
        log.write(json.dumps({"step": step} | means) + "\n")
    return {
        "loss": f"{means['tokens']:.3f}",
        "text": f"{means['text_right']:.3f}",
        "time": f"{means['time_right']:.3f}",
    }


def _save(run: Run, step: int, network: Whisper, optimisers: Optimisers) -> None:
    """Write a checkpoint in one move: whoever reads it sees all of it or the one before."""
    unfinished = run.checkpoint.with_suffix(".part")
    torch.save({"step": step, "model": network.state_dict(), "optimisers": optimisers.state()}, unfinished)
    unfinished.replace(run.checkpoint)
