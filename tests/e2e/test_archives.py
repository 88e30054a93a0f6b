"""Archives the program has not seen, replayed through the command: each ends in a right answer or a clear sentence."""

import json
import shutil
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.command import COMMAND, tocsin
from tests.lab.test_replay import read

MONDAY = date(2010, 1, 4)

Rows = Iterable[tuple[object, ...]]


def written(path: Path, head: str, rows: Rows) -> Path:
    path.write_text("\n".join([head, *(",".join(map(str, row)) for row in rows)]) + "\n", encoding="utf-8")
    return path


def replayed(folder: Path, counts: Rows, tree: Rows, *options: str) -> tuple[dict[str, Any], str]:
    """Summary and page of a replay that must succeed."""
    file = written(folder / "counts.csv", "agency,date,count", counts)
    table = written(folder / "tree.csv", "agency,network,parent", tree)
    done = tocsin("replay", file, "--territories", table, "--report", folder / "page.html", "--json", *options)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    html = (folder / "page.html").read_text(encoding="utf-8")
    read(html)
    return json.loads(done.stdout), html


def refused(folder: Path, counts: Rows, tree: Rows) -> str:
    """The sentence of a replay that cannot be."""
    file = written(folder / "counts.csv", "agency,date,count", counts)
    table = written(folder / "tree.csv", "agency,network,parent", tree)
    done = tocsin("replay", file, "--territories", table, "--report", folder / "page.html")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1, done.stderr
    assert not (folder / "page.html").exists()
    return done.stderr


def waves(agencies: Sequence[str], weeks: int, *, each: int = 52, gaps: bool = False) -> list[tuple[object, ...]]:
    """Weekly counts: ten weeks of cases a year in all agencies, a stray case now and then, and, if asked for, weeks that
    nobody knows."""
    rows: list[tuple[object, ...]] = []
    for week in range(weeks):
        for place, agency in enumerate(agencies):
            day = MONDAY + timedelta(weeks=week)
            if gaps and (week + 3 * place) % 17 == 0:
                rows.append((agency, day, "NA"))
            elif 20 <= week % each < 30:
                rows.append((agency, day, 1 + (week + place) % 3))
            elif week % each == 40 and place == 0:
                rows.append((agency, day, 1))
    return rows


LEVELS: dict[int, Rows] = {
    2: [("東區", "臺南市", "臺灣"), ("南區", "臺南市", "臺灣"), ("北區", "臺南市", "臺灣"),
        ("Центр", "Омск", "臺灣"), ("Север", "Омск", "臺灣"), ("المعادي", "Омск", "臺灣")],
    3: [("東區", "臺南市", "Asia"), ("南區", "臺南市", "Asia"), ("北區", "臺南市", "Asia"),
        ("Центр", "Омск", "Сибирь"), ("Север", "Омск", "Сибирь"), ("المعادي", "القاهرة", "مصر"), ("حلوان", "القاهرة", "مصر"),
        ("", "Сибирь", "World"), ("", "مصر", "World"), ("", "Asia", "World")],
    4: [("東區", "臺南市", "臺灣"), ("南區", "臺南市", "臺灣"), ("北區", "臺南市", "臺灣"),
        ("Центр", "Омск", "Сибирь"), ("Север", "Омск", "Сибирь"), ("المعادي", "القاهرة", "مصر"), ("حلوان", "القاهرة", "مصر"),
        ("", "臺灣", "Asia"), ("", "Сибирь", "Asia"), ("", "مصر", "Afrasia"), ("", "Asia", "World"),
        ("", "Afrasia", "World")],
}  # fmt: skip


@pytest.mark.parametrize("levels", LEVELS)
def test_weeks_with_gaps_in_three_scripts_and_up_to_four_levels(levels: int, tmp_path: Path) -> None:
    tree = list(LEVELS[levels])
    agencies = [str(row[0]) for row in tree if row[0]]
    counts = waves(agencies, 52 * 5, gaps=True)
    found, html = replayed(tmp_path, counts, tree)
    assert found["calibration"]["notes"] == []
    assert found["span"][0] == "2014-04-01"
    assert found["agencies"] == len(agencies)
    known = [row for row in counts if row[2] != "NA" and str(row[1]) >= "2014-03-25"]
    assert found["cases"] == sum(int(str(row[2])) for row in known)
    assert found["counts"]["county"]["waves"] == len({row[1] for row in tree if row[0]})
    assert found["counts"]["county"]["true"] >= 1
    assert found["first_national_record"]
    assert all(name in html for name in (*agencies, "臺南市", "Омск"))
    assert "counts are missing (not zero)" in html
    assert "week to 20" in html


def test_another_hash_seed_gives_the_same_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = list(LEVELS[3])
    counts = waves([str(row[0]) for row in tree if row[0]], 52 * 3, gaps=True)
    logs = []
    for seed in ("1", "2"):
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        file = written(tmp_path / "counts.csv", "agency,date,count", counts)
        table = written(tmp_path / "tree.csv", "agency,network,parent", tree)
        done = tocsin("replay", file, "--territories", table, "--data-dir", tmp_path / seed)
        assert done.returncode == 0, done.stderr
        logs.append(json.loads(tocsin("networks", "--data-dir", tmp_path / seed, "--json").stdout))
    assert logs[0] == logs[1]
    assert len(logs[0]) == 4
    assert min(log["size"] for log in logs[0]) > 10


def test_a_network_of_one_agency_founds_none_and_a_silent_agency_is_counted(tmp_path: Path) -> None:
    tree = [("A1", "N1", "Land"), ("A2", "N1", "Land"), ("A3", "N1", "Land"), ("never", "N1", "Land"),
            ("alone", "N2", "Land")]  # fmt: skip
    found, html = replayed(tmp_path, waves(["A1", "A2", "A3", "alone"], 80), tree)
    assert found["calibration"]["notes"][0].startswith("NOT CALIBRATED")
    assert (found["agencies"], found["networks"]) == (5, 1)
    assert found["first_national_record"].keys() == {"n1"}
    assert found["first_national_record"]["n1"] is not None
    assert "N2 has one agency and founds no network." in html
    assert "Without a case: 1 more." in html


def test_one_day_and_nothing_else(tmp_path: Path) -> None:
    tree = [(f"A{i}", "N", "") for i in range(4)]
    found, html = replayed(tmp_path, [(f"A{i}", "2020-03-01", 5) for i in range(4)], tree)
    assert (found["cases"], found["reports"]) == (20, 4)
    assert found["span"] == ["2020-03-01", "2020-03-02"]
    assert found["counts"]["county"]["waves"] == 1
    assert "NOT CALIBRATED" in html


def test_what_cannot_be_replayed_gets_a_sentence(tmp_path: Path) -> None:
    three = [(f"A{i}", "N", "") for i in range(3)]
    day = date(2020, 1, 1)
    zeros = [("A0", day + timedelta(i), 0) for i in range(30)]
    assert "no count above zero in the whole file" in refused(tmp_path, zeros, three)
    ones = [("A0", day + timedelta(i), 1) for i in range(30)]
    assert "No territory has two agencies" in refused(tmp_path, ones, [("A0", "N", "")])
    crowd = [(f"A{i}", "N", "") for i in range(2000)]
    assert "N would have 2001 members and a network has at most 100; put a level" in refused(tmp_path, ones, crowd)


def test_a_file_with_other_names_for_its_columns(tmp_path: Path) -> None:
    file = written(tmp_path / "counts.csv", "week,ags,cases", [(d, a, n) for a, d, n in waves(["1", "2", "3"], 60)])
    table = written(tmp_path / "tree.csv", "ags,state,name", [(i, "Saarland", f"Kreis {i}") for i in (1, 2, 3)])
    plain = tocsin("replay", file, "--territories", table)
    assert plain.returncode == 2
    assert "missing columns agency, network; the header has ags, state, name; rename them" in plain.stderr
    found = tocsin(
        "replay", file, "--territories", table, "--columns", "agency=ags,date=week,count=cases",
        "--territory-columns", "agency=ags,network=state", "--json",
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["largest_outbreak"]["county"] == "saarland"
    for bad in ("agency", "agency=", "=ags", "agency=ags,", ""):
        refusal = tocsin("replay", file, "--territories", table, "--columns", bad)
        assert refusal.returncode == 2
        assert "is no list of OURS=YOURS" in refusal.stderr
    wrong = tocsin(
        "replay", file, "--territories", table, "--columns", "agencie=ags", "--territory-columns",
        "agency=ags,network=state",
    )  # fmt: skip
    assert "'agencie' is no column of this table" in wrong.stderr


@pytest.mark.slow
def test_two_thousand_agencies(tmp_path: Path) -> None:
    tree = [(f"A{i}", f"N{i // 50}", "Land") for i in range(2000)]
    counts = [(f"A{i}", MONDAY + timedelta(weeks=week), 2) for week in range(10, 16) for i in range(0, 2000, 10)]
    found, _ = replayed(tmp_path, counts, tree)
    assert (found["agencies"], found["networks"]) == (2000, 41)
    assert found["counts"]["county"]["waves"] == 40
    assert found["counts"]["county"]["true"] == 40


@pytest.mark.parametrize("option", ["--report", "--output", "--data-dir"])
def test_a_place_that_cannot_be_written_is_said_before_the_work(option: str, tmp_path: Path) -> None:
    file = written(tmp_path / "counts.csv", "agency,date,count", waves(["A1", "A2", "A3"], 52 * 5))
    table = written(tmp_path / "tree.csv", "agency,network", [(f"A{i}", "N") for i in (1, 2, 3)])
    verb = ("calibrate", file, "--until", "2013-12-31") if option == "--output" else ("replay", file)
    for place, said in (
        (tmp_path / "missing" / "result", "there is no directory"), (tmp_path, "Is a directory"),
        (file / "result", "Not a directory"), (tmp_path / ("x" * 300), "File name too long"),
    ):  # fmt: skip
        if option == "--data-dir":
            if said == "there is no directory":
                continue
            said = said.replace("Is a directory", "holds no earlier replay")
        done = tocsin(*verb, "--territories", table, option, place)
        assert (done.returncode, done.stdout) == (2, ""), done.stderr
        assert said in done.stderr
        assert option in done.stderr
        assert "Traceback" not in done.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["counts.csv", "tree.csv"]


def test_a_disk_that_fills_up_gets_a_sentence(tmp_path: Path) -> None:
    file = written(tmp_path / "counts.csv", "agency,date,count", waves(["A1", "A2", "A3"], 60))
    table = written(tmp_path / "tree.csv", "agency,network", [(f"A{i}", "N") for i in (1, 2, 3)])
    done = tocsin("replay", file, "--territories", table, "--data-dir", tmp_path / "kept", most_bytes=200_000)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.splitlines()[-1].startswith("tocsin: ")
    assert "Traceback" not in done.stderr


def test_a_data_directory_is_used_again_by_replays_alone(tmp_path: Path) -> None:
    file = written(tmp_path / "counts.csv", "agency,date,count", waves(["A1", "A2", "A3"], 60))
    table = written(tmp_path / "tree.csv", "agency,network", [(f"A{i}", "N") for i in (1, 2, 3)])
    kept = tmp_path / "kept"
    for charter in ("pilot", "paper"):
        done = tocsin("replay", file, "--territories", table, "--data-dir", kept, "--charter", charter)
        assert done.returncode == 0, done.stderr
        assert (kept / "dossiers" / "n.dossier").is_file()
    command = next(line for line in done.stdout.splitlines() if line.startswith("Verify: "))
    assert shutil.which("tocsin") or command.startswith(f"Verify: {COMMAND} verify ")
    assert tocsin(*command.split()[2:]).returncode == 0
    done = tocsin("replay", file, "--territories", table, "--data-dir", kept, "--json")
    found = json.loads(done.stdout)
    assert found["dossier"] == str(kept / "dossiers" / "n.dossier")
    assert "IN PLAIN TEXT" in done.stderr
    node = tmp_path / "node"
    (node / "networks").mkdir(parents=True)
    (node / "networks" / "node.db").write_bytes(b"somebody's")
    done = tocsin("replay", file, "--territories", table, "--data-dir", node)
    assert done.returncode == 2
    assert "holds no earlier replay" in done.stderr
    assert (node / "networks" / "node.db").read_bytes() == b"somebody's"
