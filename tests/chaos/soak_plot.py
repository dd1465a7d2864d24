"""The curves of a soak, one below the other (matplotlib, which requirements-bench.txt has)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tests.chaos.soak_verdict import WARM_UP

if TYPE_CHECKING:
    from tests.chaos.soak import Soak

BLUE, ORANGE = "#0072B2", "#D55E00"
INCHES = (8.0, 9.0)
DOTS_PER_INCH = 110


def draw(seen: Soak, file: Path) -> None:
    """Write a picture: memory, open files, threads, temporary files over the minutes."""
    from matplotlib import use
    from matplotlib.figure import Figure

    use("Agg")
    minutes = [sample.at_s / 60 for sample in seen.samples]
    figure = Figure(figsize=INCHES, layout="constrained")
    panels = figure.subplots(4, 1, sharex=True)
    curves = [
        ("resident memory, MiB", {"worker": "resident_mib", "decoders": "decoders_mib"}),
        ("open files", {"open files": "open_files"}),
        ("threads", {"threads": "threads"}),
        ("temporary files", {"without a name": "unnamed_files", "with a name": "files"}),
    ]
    for panel, (label, names) in zip(panels, curves, strict=True):
        for (name, attribute), colour in zip(names.items(), (BLUE, ORANGE), strict=False):
            values = [getattr(sample, attribute) for sample in seen.samples]
            panel.plot(minutes, values, color=colour, linewidth=1, label=name)
        panel.axvspan(0, WARM_UP * minutes[-1], color="grey", alpha=0.12, linewidth=0)
        panel.set_ylabel(label)
        panel.margins(y=0.25 if len(names) > 1 else 0.05)
        panel.autoscale_view()
        panel.set_ylim(bottom=0)
        panel.grid(visible=True, alpha=0.3)
        if len(names) > 1:
            panel.legend(frameon=False, loc="upper right", ncols=2)
    panels[-1].set_xlabel("minutes; grey is the warm-up")
    n_requests = sum(seen.honest.outcomes.values()) + sum(seen.hostile.outcomes.values())
    figure.suptitle(f"{n_requests:,} requests and {sum(seen.faults.values()):,} faults", fontsize="medium")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=DOTS_PER_INCH, metadata={"Software": None})
