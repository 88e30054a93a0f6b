-- One database for many networks; `net` is a network's small number in this file.

CREATE TABLE network (
    net INTEGER PRIMARY KEY,
    origin TEXT NOT NULL UNIQUE,
    digest TEXT NOT NULL UNIQUE,
    genesis BLOB NOT NULL,
    founding BLOB NOT NULL
) STRICT;

-- The journal: one row a block that changed something, in the order of arrival over all networks, so that a
-- group commit writes neighbouring pages. `first` and `size`: leaves before and after; `root`: of that size.
-- The large columns stand last, the least read one at the end.
CREATE TABLE block (
    id INTEGER PRIMARY KEY,
    net INTEGER NOT NULL,
    height INTEGER NOT NULL,
    at INTEGER NOT NULL,
    first INTEGER NOT NULL,
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    receipts BLOB NOT NULL,
    leaves BLOB NOT NULL,
    envelopes BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX block_place ON block (net, height);

-- Full tiles only (C2SP tlog-tiles): 256 hashes each. The partial ones follow from leaves and full tiles.
CREATE TABLE tile (
    id INTEGER PRIMARY KEY,
    net INTEGER NOT NULL,
    level INTEGER NOT NULL,
    n INTEGER NOT NULL,
    hashes BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX tile_place ON tile (net, level, n);

-- Live rows of the state.
CREATE TABLE live (
    id INTEGER PRIMARY KEY,
    net INTEGER NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX live_place ON live (net, key);

-- Archived rows: values of one commit packed together, and for each key where its last value stands
-- (segment * 2^24 + offset). Keys are random digests; this way only the small index is written at random.
CREATE TABLE segment (
    id INTEGER PRIMARY KEY,
    data BLOB NOT NULL
) STRICT;
CREATE TABLE archive (
    net INTEGER NOT NULL,
    key BLOB NOT NULL,
    place INTEGER NOT NULL,
    PRIMARY KEY (net, key)
) STRICT, WITHOUT ROWID;

-- Which leaves name an id: first 8 bytes of the id -> index of the leaf. Grouped by 8,192 leaves, so that a
-- commit writes a few neighbouring pages and not one for each random id.
CREATE TABLE mention (
    net INTEGER NOT NULL,
    bucket INTEGER NOT NULL,
    id INTEGER NOT NULL,
    leaf INTEGER NOT NULL,
    PRIMARY KEY (net, bucket, id, leaf)
) STRICT, WITHOUT ROWID;

-- Signed checkpoints: the newest, and those that must stay (`kept`).
CREATE TABLE checkpoint (
    id INTEGER PRIMARY KEY,
    net INTEGER NOT NULL,
    size INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    note BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX checkpoint_place ON checkpoint (net, size);

CREATE TRIGGER network_stays BEFORE UPDATE ON network BEGIN SELECT RAISE(ABORT, 'a network never changes'); END;
CREATE TRIGGER network_remains BEFORE DELETE ON network BEGIN SELECT RAISE(ABORT, 'a network never goes'); END;
CREATE TRIGGER block_stays BEFORE UPDATE ON block BEGIN SELECT RAISE(ABORT, 'a block never changes'); END;
CREATE TRIGGER block_remains BEFORE DELETE ON block BEGIN SELECT RAISE(ABORT, 'a block never goes'); END;
CREATE TRIGGER tile_stays BEFORE UPDATE ON tile BEGIN SELECT RAISE(ABORT, 'a full tile never changes'); END;
CREATE TRIGGER tile_remains BEFORE DELETE ON tile BEGIN SELECT RAISE(ABORT, 'a full tile never goes'); END;
CREATE TRIGGER segment_stays BEFORE UPDATE ON segment BEGIN SELECT RAISE(ABORT, 'a segment never changes'); END;
CREATE TRIGGER segment_remains BEFORE DELETE ON segment BEGIN SELECT RAISE(ABORT, 'a segment never goes'); END;
