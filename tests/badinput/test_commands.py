"""Bad files in front of a command: exit 2 and one sentence with file and line, no traceback, nothing left behind."""

from pathlib import Path

import apsw
import pytest

from tests.store.world import World
from tocsin.cli.main import main
from tocsin.store.store import Store

HEAD = "agency,date,count\n"
DAYS = "".join(f"Hill,2015-06-{day:02},1\n" for day in range(1, 8))
TABLE = "agency,network,parent\nHill,One,Land\nWest,One,Land\n"


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Run a command that must not be possible; its one sentence."""
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("tocsin: ")
    assert said.err.count("\n") == 1
    assert "Traceback" not in said.err
    return said.err


CSV: dict[str, tuple[str, tuple[str, ...], str]] = {
    "a missing column": ("agency,date\nHill,2015-06-01\n", (), "counts.csv, line 1: missing column count"),
    "a negative count": (HEAD + DAYS + "Hill,2015-06-08,-1\n", (), "counts.csv, line 9: a count of -1 is negative"),
    "a fractional count": (HEAD + DAYS + "Hill,2015-06-08,1.5\n", (), "counts.csv, line 9: a count of 1.5 is not a whole"),
    "NaN as infinity": (HEAD + DAYS + "Hill,2015-06-08,-inf\n", (), "counts.csv, line 9: a count of -inf"),
    "a count beyond 64 bits": (HEAD + DAYS + f"Hill,2015-06-08,{2**70}\n", (), "line 9: a count of 11805916207174113034"),
    "dates out of order": (HEAD + DAYS + "Hill,2015-06-01,1\n", (), "counts.csv, line 9: 2015-06-01 comes after 2015-06-07"),
    "days for weeks": (HEAD + DAYS, ("--unit", "weekly"), "counts.csv, line 3: 2015-06-02 is a Tuesday"),
    "an agency of nowhere": (HEAD + "Mars,2015-06-01,1\n", (), "counts.csv, line 2: agency 'Mars' is not in agencies.csv"),
}  # fmt: skip


@pytest.mark.parametrize("verb", [("replay",), ("calibrate", "--until", "2015-06-05")], ids=["replay", "calibrate"])
@pytest.mark.parametrize("what", CSV)
def test_no_archive(what: str, verb: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text, more, sentence = CSV[what]
    counts, table = tmp_path / "counts.csv", tmp_path / "agencies.csv"
    counts.write_text(text)
    table.write_text(TABLE)
    said = refused(capsys, verb[0], str(counts), *verb[1:], "--territories", str(table), *more)
    assert sentence in said
    assert str(counts) in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["agencies.csv", "counts.csv"]


def test_an_unknown_unit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["replay", str(tmp_path / "x.csv"), "--unit", "fortnightly"])
    assert left.value.code == 2
    assert "'fortnightly' (choose from 'auto', 'daily', 'weekly')" in capsys.readouterr().err


def test_what_the_sentence_names_is_an_option_there_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts = tmp_path / "counts.csv"
    counts.write_text(HEAD + DAYS)
    assert "--territories" in refused(capsys, "replay", str(counts))
    assert "no file and no source known here" in refused(capsys, "replay", str(tmp_path / "gone.csv"))


@pytest.mark.parametrize("day", ["2015-13-01", "yesterday", "2015-6-1", ""])
def test_no_day(day: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts, table = tmp_path / "counts.csv", tmp_path / "agencies.csv"
    counts.write_text(HEAD + DAYS)
    table.write_text(TABLE)
    said = refused(capsys, "replay", str(counts), "--territories", str(table), "--first", day)
    assert f"{day!r} is no day; write YYYY-MM-DD." in said


@pytest.mark.parametrize("text", ["", "{", '{"rule":NaN}', "[" * 5000, '{"source":"\\ud800"}'])
def test_no_frozen_calibration(text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    counts, table, frozen = tmp_path / "counts.csv", tmp_path / "agencies.csv", tmp_path / "rule.json"
    counts.write_text(HEAD + DAYS)
    table.write_text(TABLE)
    frozen.write_text(text)
    said = refused(capsys, "replay", str(counts), "--territories", str(table), "--calibration", str(frozen))
    assert "rule.json" in said


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    world = World()
    (tmp_path / "networks").mkdir()
    with Store.open(tmp_path / "networks" / "node.db") as store:
        store.create_network(world.genesis_bytes, world.founding_bytes)
    return tmp_path


COMMANDS = {
    "networks": ("networks",),
    "fsck": ("fsck",),
    "log export": ("log", "export", "tainan", "public"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", ["newer", "foreign", "garbage", "no directory"])
def test_no_store(
    command: str, what: str, data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data_dir)
    path = data_dir / "networks" / "node.db"
    if what in ("newer", "foreign"):
        connection = apsw.Connection(str(path))
        connection.pragma("user_version" if what == "newer" else "application_id", 99)
        connection.close()
    elif what == "garbage":
        path.write_bytes(b"SQLite format 4\0" * 1000)
    data = path.read_bytes()
    folder = data_dir if what != "no directory" else data_dir / "nowhere"
    said = refused(capsys, *COMMANDS[command], "--data-dir", str(folder))
    assert {
        "newer": "was written by a newer release (format 99, this one knows ",
        "foreign": "is a database, but no store of Tocsin; choose another path.",
        "garbage": "is damaged",
        "no directory": "There is no store at",
    }[what] in said
    assert "node.db" in said
    assert path.read_bytes() == data
    assert not (data_dir / "public").exists()
