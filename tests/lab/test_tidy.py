"""Tidy CSV: what is read, and the sentence for everything that is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.lab.archive import IMPORTED, LOCAL, NOBODY, ORIGIN_UNKNOWN, Archive, Gap
from tocsin.lab.days import day_of, iso
from tocsin.lab.sources import SourceError, load

TABLE = "agency,network,parent\n東區,臺南市,臺灣\nWest,臺南市,臺灣\nHill,Hualien,臺灣\n"
COUNTS = """agency,date,count,origin
東區,2015-06-01,2,
Hill,2015-06-01,1,imported
東區,2015-06-03,4,West
West,2015-06-05,0,
"""
HEAD = "agency,date,count\n"

Read = Callable[..., Archive]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def from_text(counts: str | bytes = COUNTS, table: str | bytes = TABLE, **options: object) -> Archive:
        for name, text in (("counts.csv", counts), ("agencies.csv", table)):
            (tmp_path / name).write_bytes(text.encode() if isinstance(text, str) else text)
        options.setdefault("territories", tmp_path / "agencies.csv")
        return load(tmp_path / "counts.csv", **options)  # type: ignore[arg-type]

    return from_text


def test_counts_and_tree_are_read(read: Read) -> None:
    archive = read()
    assert [(n.name, n.parent) for n in archive.networks] == [("臺灣", None), ("Hualien", 0), ("臺南市", 0)]
    assert [(a.name, archive.networks[a.network].name) for a in archive.agencies] == [
        ("Hill", "Hualien"),
        ("West", "臺南市"),
        ("東區", "臺南市"),
    ]
    e = archive.entries
    assert e.agency.tolist() == [2, 0, 2]
    assert e.count.tolist() == [2, 1, 4]
    assert e.imported.tolist() == [ORIGIN_UNKNOWN, IMPORTED, LOCAL]
    assert (e.origin_network.tolist(), e.origin_place.tolist()) == ([NOBODY, NOBODY, 2], [NOBODY, NOBODY, 1])
    assert [iso(day) for day in e.notified] == ["2015-06-01", "2015-06-01", "2015-06-03"]
    assert (iso(archive.first_day), iso(archive.last_day), archive.step) == ("2015-06-01", "2015-06-05", 1)


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x85"])
def test_only_line_ends_count_as_lines(read: Read, odd: str) -> None:
    table = TABLE + f'"Two{odd}Words",臺南市,臺灣\n'
    assert f"Two{odd}Words" in {agency.name for agency in read(table=table).agencies}
    counts = HEAD + f'"Two{odd}Words",2015-06-01,1\nWest,2015-06-02,-1\n'
    with pytest.raises(SourceError, match="line 3: a count of -1 is negative"):
        read(counts, table)


def test_a_line_end_within_quotes_is_part_of_the_cell(read: Read) -> None:
    table = TABLE.replace("\n", "\r\n") + '"Two\r\nWords",臺南市,臺灣\r\n'
    counts = HEAD + '"Two\r\nWords",2015-06-01,1\nWest,2015-06-02,-1\n'
    with pytest.raises(SourceError, match="line 4: a count of -1 is negative"):
        read(counts, table)


def test_the_digest_follows_both_files(read: Read) -> None:
    first, again = read().digest, read().digest
    assert first == again
    other = {read(COUNTS + "West,2015-06-06,1,\n").digest, read(table=TABLE + "New,Hualien,臺灣\n").digest}
    assert len(other | {first}) == 3


def test_weeks_are_known_at_their_end(read: Read) -> None:
    archive = read("agency,date,count\nHill,2004-W35,3\nWest,2004-W36,1\nWest,2004-W37,2\n")
    assert archive.step == 7
    assert iso(archive.last_day) == "2004-09-12"
    assert [iso(day) for day in archive.entries.onset] == ["2004-08-23", "2004-08-30", "2004-09-06"]
    assert [iso(day) for day in archive.entries.notified] == ["2004-08-29", "2004-09-05", "2004-09-12"]


def test_two_dates_on_one_weekday_are_not_yet_weeks(read: Read) -> None:
    text = "agency,date,count\nHill,2004-08-23,3\nWest,2004-08-30,1\n"
    assert read(text).step == 1
    assert read(text, unit="weekly").step == 7


def test_an_empty_count_is_a_gap_and_no_zero(read: Read) -> None:
    archive = read("agency,date,count\nHill,2015-06-01,1\nWest,2015-06-02,NA\nWest,2015-06-03,\nWest,2015-06-04,0\n")
    day = day_of("2015-06-02")
    assert archive.gaps == (Gap(1, day, day), Gap(1, day + 1, day + 1))
    assert archive.entries.cases == 1
    assert any("2 counts are missing" in note for note in archive.notes)


def test_repeated_rows_are_added_and_said(read: Read) -> None:
    archive = read("agency,date,count\nHill,2015-06-01,1\nHill,2015-06-01,2\n")
    assert archive.entries.cases == 3
    assert any("1 rows repeat" in note for note in archive.notes)


def test_other_headers_can_be_mapped_and_other_columns_are_ignored(read: Read) -> None:
    archive = read(
        "week,when,who,n\n1,2015-06-01,a,3\n",
        "who,where\na,Alpha\nb,Beta\n",
        columns={"agency": "who", "date": "when", "count": "n"},
        territory_columns={"agency": "who", "network": "where"},
        top="Land",
    )
    assert [n.name for n in archive.networks] == ["Land", "Alpha", "Beta"]


def test_a_mark_at_the_start_and_windows_line_ends_are_read(read: Read) -> None:
    archive = read(b"\xef\xbb\xbf" + COUNTS.replace("\n", "\r\n").encode(), TABLE.replace("\n", "\r\n"))
    assert archive.entries.cases == 7


def test_four_levels_are_read_and_five_refused(read: Read) -> None:
    towns = "".join(f"{agency},town,county\n" for agency in ("Hill", "東區", "West"))
    four = "agency,network,parent\n" + towns + ",county,province\n,province,land\n"
    archive = read(table=four)
    assert [archive.networks[i].name for i in archive.path(archive.leaves[0])] == ["land", "province", "county", "town"]
    with pytest.raises(SourceError, match="'town' is deeper than 4 levels"):
        read(table=four + ",land,world\n")


def test_a_network_alone_gets_one_above(read: Read) -> None:
    archive = read("agency,date,count\na,2015-06-01,1\n", "agency,network\na,One\n", top="Nation")
    assert [n.name for n in archive.networks] == ["Nation", "One"]


WRONG_COUNTS = {
    "no count column": ("agency,date\nHill,2015-06-01\n", "line 1: missing column count"),
    "semicolons": ("agency;date;count\nHill;2015-06-01;1\n", "separated by commas"),
    "a column twice": ("agency,date,count,date\nHill,2015-06-01,1,2\n", "line 1: two columns are called 'date'"),
    "an empty file": ("", "line 1: no header"),
    "a header alone": (HEAD, "a header, but no rows"),
    "only zeros": (HEAD + "Hill,2015-06-01,0\n", "no count above zero"),
    "a negative count": (HEAD + "Hill,2015-06-01,1\nHill,2015-06-02,-3\n", "line 3: a count of -3 is negative"),
    "half a case": (HEAD + "Hill,2015-06-01,0.5\n", "line 2: a count of 0.5 is not a whole number"),
    "endless cases": (HEAD + "Hill,2015-06-01,inf\n", "line 2: a count of inf is not a whole number"),
    "a word for a count": (HEAD + "Hill,2015-06-01,few\n", "line 2: 'few' is not a number of cases"),
    "too many cases": (HEAD + "Hill,2015-06-01,99999999999999999999\n", "is more than 1,000,000"),
    "dates out of order": (
        HEAD + "Hill,2015-06-02,1\nWest,2015-06-01,1\nHill,2015-06-01,1\n",
        "line 4: 2015-06-01 comes after 2015-06-02 for agency 'Hill'",
    ),
    "no such day": (HEAD + "Hill,2015-02-30,1\n", "line 2: '2015-02-30' is not a date"),
    "a German date": (HEAD + "Hill,1.6.2015,1\n", "line 2: '1.6.2015' is not a date"),
    "no such week": (HEAD + "Hill,2005-W53,1\n", "line 2: '2005-W53' is not a date"),
    "dates centuries apart": (HEAD + "Hill,1015-06-01,1\nHill,2015-06-01,1\n", "line 2: the dates span more"),
    "an unknown agency": (HEAD + "Nowhere,2015-06-01,1\n", "line 2: agency 'Nowhere' is not in agencies.csv"),
    "an unknown origin": ("agency,date,count,origin\nHill,2015-06-01,1,Mars\n", "line 2: origin 'Mars' is no agency"),
    "a short row": (HEAD + "Hill,2015-06-01\n", "line 2: 2 cells where the header has 3"),
    "an open quote": (HEAD + '"Hill,2015-06-01,1\n', "not a CSV file"),
    "latin-1": ((HEAD + "Hill,2015-06-01,1\nFürth,2015-06-01,1\n").encode("latin-1"), "line 3: byte 0xfc is not"),
}  # fmt: skip

WRONG_TABLES = {
    "no network column": ("agency,parent\nHill,x\n", "missing column network"),
    "no network": ("agency,network\nHill,\n", "line 2: agency 'Hill' has no network"),
    "an agency twice": ("agency,network\nHill,a\nHill,b\n", "line 3: agency 'Hill' stands in 'b', but before in 'a'"),
    "two parents": ("agency,network,parent\nHill,a,x\nWest,a,y\n", "line 3: network 'a' has the parent 'y', but 'x'"),
    "a circle": ("agency,network,parent\nHill,a,b\n,b,a\n", "lies below itself"),
    "agencies in the middle": ("agency,network,parent\nHill,a,land\nWest,b,a\n", "both agencies ('Hill') and networks"),
    "one name twice": ("agency,network,name\nHill,a,H\nWest,a,H\n", "agencies of one network need different names"),
    "no agency": ("agency,network,parent\n,a,b\n", "no agency in the table"),
    "latin-1": ("agency,network\nF\u00fcrth,a\n".encode("latin-1"), "line 2: byte 0xfc is not UTF-8"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG_COUNTS)
def test_refuses_counts_with(what: str, read: Read, tmp_path: Path) -> None:
    text, sentence = WRONG_COUNTS[what]
    with pytest.raises(SourceError) as refused:
        read(text)
    assert sentence in str(refused.value)
    assert str(tmp_path / "counts.csv") in str(refused.value)


@pytest.mark.parametrize("what", WRONG_TABLES)
def test_refuses_a_table_with(what: str, read: Read, tmp_path: Path) -> None:
    text, sentence = WRONG_TABLES[what]
    with pytest.raises(SourceError) as refused:
        read(table=text)
    assert sentence in str(refused.value)
    assert str(tmp_path / "agencies.csv") in str(refused.value)


def test_refuses_an_unknown_unit_and_a_day_off_the_weeks(read: Read) -> None:
    with pytest.raises(SourceError, match="'fortnightly' is not a unit of time known here"):
        read(unit="fortnightly")
    with pytest.raises(SourceError, match="line 4: 2015-06-03 is a Wednesday, but the weeks of this file"):
        read(unit="weekly")


def test_refuses_a_file_or_a_table_that_is_not_there(read: Read, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file and no source known here \(dengue-taiwan, hepatitis-a-germany\)"):
        load("dengue-taiwn")
    with pytest.raises(SourceError, match="needs the table agency,network,parent"):
        read(territories=None)
    with pytest.raises(SourceError, match="cannot be read"):
        read(territories=tmp_path / "gone.csv")
    with pytest.raises(SourceError, match="read from a folder"):
        load("hepatitis-a-germany")
    with pytest.raises(SourceError, match=r"hepatitis_a_kreis.*cannot be read|german_kreise.*cannot be read"):
        load("hepatitis-a-germany", folder=tmp_path)


def test_refuses_a_mapping_for_a_column_there_is_not(read: Read) -> None:
    with pytest.raises(SourceError, match="'kount' is no column of this table"):
        read(columns={"kount": "n"})
    with pytest.raises(SourceError, match="missing column quelle"):
        read(columns={"origin": "quelle"})


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(counts=st.binary(max_size=120), table=st.binary(max_size=80), keep=st.booleans())
def test_any_bytes_give_an_archive_or_a_sentence(read: Read, counts: bytes, table: bytes, keep: bool) -> None:
    sentence = "an archive was read"
    try:
        read(COUNTS.encode() + counts if keep else counts, TABLE.encode() + table if keep else table)
    except SourceError as refused:
        sentence = str(refused)
    assert len(sentence) > 15
