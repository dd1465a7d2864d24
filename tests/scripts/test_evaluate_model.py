"""The evaluator: what it counts, what it says to bad input, and that the shipped model does well by it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import evaluate_model
from scripts.evaluate_model import boundary_errors, load_model, spread
from scripts.evaluation.manifest import CannotEvaluateError, Segment, read_manifest
from scripts.evaluation.scoring import error_rate, words

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "evaluate_model.py"
MANIFEST = ROOT / "tests" / "data" / "manifest.jsonl"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.parametrize(
    ("text", "language", "plain"),
    [
        (" Forty-two, please.", "en", "forty two please"),
        ("¿Qué hora es?", "es", "qué hora es"),
        ("J'ai DIX euros.", "fr", "j ai dix euros"),
        ("打开灯。", "zh", "打 开 灯"),
        ("", "en", ""),
    ],
)
def test_texts_are_compared_without_case_and_punctuation(text: str, language: str, plain: str) -> None:
    assert words(text, language) == plain


def test_errors_are_counted_over_all_texts_together() -> None:
    assert error_rate([("one two three.", "one two"), ("four", "Four")], "en") == 0.25
    assert error_rate([("八三。", "八二。")], "zh") == 0.5
    assert error_rate([], "en") is None


def test_boundaries_are_compared_with_the_nearest_found() -> None:
    truth = [Segment(start=1.0, end=2.0)]
    found = [Segment(start=1.25, end=2.0), Segment(start=3.0, end=4.0)]

    assert list(boundary_errors(truth, found)) == [0.25, 0.0]


def test_a_segment_that_was_missed_costs_its_whole_time() -> None:
    assert list(boundary_errors([Segment(start=1.0, end=2.0)], [])) == [2.0, 2.0]


def test_spread_gives_median_and_nearly_the_worst() -> None:
    assert spread([0.1, 0.2, 0.3]) == {"median": 0.2, "p95": 0.3}
    assert spread([]) is None


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "lists no recordings"),
        ("{", r"line 1, is not JSON"),
        ('{"text": "one", "language": "en"}', r"line 1, has no field 'path'"),
        ('{"path": "a.wav", "language": "en"}', r"line 1, has no field 'text'"),
        ("[]", r"line 1, is ill-formed"),
        ('{"path": "a.wav", "text": "one", "language": "en"}', r"lists .*a\.wav, which does not exist"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(content, encoding="utf-8")

    with pytest.raises(CannotEvaluateError, match=complaint):
        read_manifest(manifest)


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotEvaluateError, match=r"it has no model\.bin"):
        load_model(tmp_path, "cpu", "default", 1)


def test_missing_packages_name_the_command_that_installs_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate_model, "PACKAGES", ("jiwer", "no_such_package"))

    with pytest.raises(CannotEvaluateError, match=r"no_such_package; run: pip install -r requirements-train\.txt$"):
        evaluate_model.require_packages()


@pytest.mark.parametrize(
    ("model", "manifest", "complaint"),
    [
        ("nowhere", MANIFEST, "there is no model folder nowhere"),
        ("nowhere", "no.jsonl", "there is no manifest no.jsonl"),
    ],
)
def test_bad_input_gets_one_line_and_status_2(model: str, manifest: str | Path, complaint: str) -> None:
    finished = run(model, manifest)

    assert finished.returncode == 2
    assert finished.stderr.startswith(f"evaluate_model: {complaint}")
    assert len(finished.stderr.splitlines()) == 1


@pytest.mark.skipif(importlib.util.find_spec("tqdm") is None, reason="the progress bar is tqdm's")
def test_the_demo_model_hears_the_committed_recordings(demo_model: Path, tmp_path: Path) -> None:
    lines = [json.loads(line) for line in MANIFEST.read_text("utf-8").splitlines()]
    for line in lines:
        line["path"] = str(MANIFEST.parent / line["path"])
    manifest = tmp_path / "manifest.jsonl"
    short = [json.dumps(line) for line in lines if line["duration"] < 60]
    manifest.write_text("\n".join(short), encoding="utf-8")

    finished = run(demo_model, manifest, "--json", tmp_path / "figures.json")

    assert finished.returncode == 0, finished.stderr
    figures = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert set(figures["languages"]) == {"en", "es", "fr", "de", "zh"}
    for language, measured in figures["languages"].items():
        assert measured["error_rate"] <= 0.15, language
        assert measured["language_right_over_2_s"] in (None, 1.0), language
        assert measured["segment_boundary_s"]["median"] < 0.1, language
    assert figures["silence"] == {"recordings": 1, "empty": 1, "least_no_speech": pytest.approx(1, abs=0.2)}
    assert "| error rate, language given |" in finished.stdout
