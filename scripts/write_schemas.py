#!/usr/bin/env python3
"""Write the JSON Schema of every dialect into docs/schemas."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from transcriber.options import Dialect  # noqa: E402 - the path above comes first
from transcriber.wire.schemas import schema_of  # noqa: E402


def main() -> None:
    """Write a file for each dialect."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "docs" / "schemas", help="folder (default: docs/schemas)")
    into: Path = parser.parse_args().into
    into.mkdir(parents=True, exist_ok=True)
    for dialect in Dialect:
        text = json.dumps(schema_of(dialect), indent=2, ensure_ascii=False) + "\n"
        into.joinpath(f"{dialect}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
