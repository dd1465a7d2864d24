"""The comparison of models, over servers that answer at once; what it measures there means nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from fleet.load.comparison import from_json, to_json
from scripts import compare_models
from scripts.load_bench import page
from tests.fleet.load.fake_server import FakeServer, fake_server
from tests.fleet.load.test_comparison import comparison

BRIEF = ("--callers", "1,2", "--recordings", "5,10", "--seconds", "0.02")
SAID = "eight eight zero eight"  # by the fake servers, whatever they are sent


@pytest.fixture
def servers() -> Iterator[tuple[FakeServer, FakeServer]]:
    with ExitStack() as stack:
        yield stack.enter_context(fake_server()), stack.enter_context(fake_server())


def manifest(folder: Path, *said: tuple[str, str | None]) -> Path:
    """Write a manifest of recordings in which this is said, in these languages; none of them is a sound."""
    lines = []
    for number, (text, language) in enumerate(said):
        (folder / f"{number}.wav").write_bytes(b"sound")
        lines.append(json.dumps({"path": f"{number}.wav", "text": text, "language": language}))
    path = folder / "manifest.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    return path


def test_models_are_put_under_the_same_loads_and_their_errors_counted(
    servers: tuple[FakeServer, FakeServer], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = servers
    second.body = json.dumps({"text": "eight, EIGHT zero"}).encode()
    texts = manifest(tmp_path, (SAID, "en"), ("nine eight zero eight", "en"), ("八", "zh"), ("", None))
    names = (f"one={first.url}", f"two={second.url}")
    compare_models.main([*names, "--manifest", str(texts), "--out", str(tmp_path), "--title", "A pair", *BRIEF])

    compared = from_json((tmp_path / "a-pair" / "comparison.json").read_text("utf-8"))
    loads = {(one.side, one.recording_s, one.callers) for one in compared.record.measured}
    assert loads == {(side, length_s, callers) for side in ("one", "two") for length_s in (5, 10) for callers in (1, 2)}
    assert sum(one.summary.errors for one in compared.record.measured) == 0
    assert compared.models == {"one": first.url, "two": second.url}
    # Of eight words one is another; of the second's eight, two are missing beside.
    assert [(it.side, it.language, it.error_rate) for it in compared.scores if it.language != "zh"] == [
        ("one", "en", 1 / 8),
        ("one", None, 1.0),
        ("two", "en", 3 / 8),
        ("two", None, 1.0),
    ]
    assert {it.measure for it in compared.scores if it.language == "zh"} == {"characters"}
    assert (tmp_path / "a-pair" / "report.md").read_text("utf-8") in capsys.readouterr().out
    assert [first.bodies.count(b"sound"), second.bodies.count(b"sound")] == [4, 4]


def test_model_that_refuses_a_recording_is_named_with_it(
    servers: tuple[FakeServer, FakeServer], tmp_path: Path
) -> None:
    server, _ = servers
    server.status, server.body = 415, b"no sound"

    with pytest.raises(SystemExit, match="compare_models: one has no words for 5 s of speech: 415 no sound"):
        compare_models.main([f"one={server.url}", "--out", str(tmp_path), *BRIEF])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "name the models, such as: demo=models/demo"),
        (("a=demo", "a=models/demo"), "two models are called 'a'"),
        (("a=demo", "--python", "b=python"), "--python names 'b', but the models are a"),
        (("a/b=demo",), "a model cannot be called 'a/b'"),
        (("serial=demo",), "a model cannot be called 'serial'"),
        (("a=demo", "--manifest", "nowhere.jsonl"), "there is no manifest nowhere.jsonl"),
    ],
)
def test_what_cannot_be_compared_ends_in_a_sentence(arguments: tuple[str, ...], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=f"^compare_models: {sentence}"):
        compare_models.main([*arguments, "--out", str(tmp_path)])


@pytest.mark.parametrize("text", ["demo", "=demo", "demo=", ""])
def test_model_without_a_name_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        compare_models.main([text])
    assert "is not a name and what it stands for" in capsys.readouterr().err


def test_report_is_made_of_the_record_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "given.json").write_text(to_json(comparison()), "utf-8")
    compare_models.main(["--report", str(tmp_path / "given.json"), "--out", str(tmp_path / "new")])

    assert from_json((tmp_path / "new" / "demo-model" / "comparison.json").read_text("utf-8")) == comparison()
    assert "| turbo | 2.10 · 2.20 |" in capsys.readouterr().out


def test_page_of_the_project_is_up_to_date() -> None:
    shown = page.PAGE.read_text("utf-8")

    assert compare_models.SHELF.on(shown, page.RECORDS) == shown
