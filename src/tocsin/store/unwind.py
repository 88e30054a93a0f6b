"""Taking a network back to its founding: what a snapshot brought, and nobody has used (ADR 11)."""

from collections.abc import Sequence

import apsw

from tocsin.store.batch import BUCKET_BITS, OFFSET_BITS, SqlValue

_WITHOUT = (
    "DELETE FROM block WHERE net = ?1 AND height > 0",
    "DELETE FROM tile WHERE net = ?1",
    # A segment may hold rows of several networks.
    f"DELETE FROM segment WHERE id IN (SELECT place >> {OFFSET_BITS} FROM archive WHERE net = ?1) "
    f"AND id NOT IN (SELECT place >> {OFFSET_BITS} FROM archive WHERE net <> ?1)",
    "DELETE FROM archive WHERE net = ?1",
    "DELETE FROM live WHERE net = ?1",
    f"DELETE FROM mention WHERE net = ?1 AND bucket > ?2 >> {BUCKET_BITS}",
    "DELETE FROM mention WHERE net = ?1 AND leaf >= ?2",
    "DELETE FROM checkpoint WHERE net = ?1 AND size > ?2",
)


def unwind(connection: apsw.Connection, net: int, size: int, live: Sequence[tuple[str, SqlValue]]) -> None:
    """Leave block 0 alone, with its `size` leaves and live rows: one durable transaction, all of it or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Triggers keep blocks, tiles and segments from ever going. These were never anybody's.
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name IN ('block', 'tile', 'segment') "
            "AND name LIKE '%\\_remains' ESCAPE '\\'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for sql in _WITHOUT:
            connection.execute(sql, (net, size)[: 2 if "?2" in sql else 1])
        connection.executemany("INSERT INTO live (net, key, value) VALUES (?, ?, ?)", [(net, *row) for row in live])
        for _, text in triggers:
            connection.execute(str(text))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
