-- Version 1. Append-only: `txn` and `entry` are never updated; everything else is a total or an index over them. What is
-- old is summed up in `closing`, and deleted (pruning.py).
-- Quantities are integer thousandths; times are milliseconds, `shop_ms` since the ledger's beginning, `wall_ms` since 1970.

CREATE TABLE ledger (
    only       INTEGER PRIMARY KEY CHECK (only = 1),
    ledger     TEXT NOT NULL,             -- UUID; a new one is another ledger to every till
    shop       TEXT NOT NULL,
    pruned_rev INTEGER NOT NULL,          -- through here what was done and said is deleted; identities stay
    pruned_ms  INTEGER NOT NULL           -- the shop time of that commit
) STRICT;

-- One start of the coordinator. Shop time runs on from run to run and never back.
CREATE TABLE run (
    id           INTEGER PRIMARY KEY,
    run          TEXT NOT NULL UNIQUE,
    first_rev    INTEGER NOT NULL,        -- the first revision that this run may commit
    is_measured  INTEGER NOT NULL,        -- 0: how long the box was off before it is unknown
    is_whole     INTEGER NOT NULL,        -- 0: a restore may have taken away what it committed
    boot         TEXT NOT NULL,           -- the kernel's boot id, in which `boottime_ms` counts
    boottime_ms  INTEGER NOT NULL,        -- when the run began, on the kernel's clock that also runs in sleep
    shop_ms      INTEGER NOT NULL,        -- the same instant in shop time
    kept_ms      INTEGER NOT NULL,        -- the newest shop time made durable while nothing was committed
    kept_wall_ms INTEGER                  -- the wall clock then; NULL when it was not synchronised
) STRICT;

-- One commit. Keeps the time of all its operations once, so an operation costs no column for it.
CREATE TABLE turn (
    last_rev INTEGER PRIMARY KEY,
    run      INTEGER NOT NULL REFERENCES run,
    shop_ms  INTEGER NOT NULL,
    wall_ms  INTEGER NOT NULL             -- for people only
) STRICT;

CREATE TABLE device (
    id    INTEGER PRIMARY KEY,
    name  TEXT NOT NULL UNIQUE,
    epoch INTEGER                         -- the one whose ack is retained: the last that committed something
) STRICT;

-- Through `seq` everything of an epoch is committed. Random operation ids would cost four times the pages.
CREATE TABLE epoch (
    id        INTEGER PRIMARY KEY,
    device    INTEGER NOT NULL REFERENCES device,
    epoch     TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    tag       INTEGER,                    -- of the operation at `seq`
    is_closed INTEGER NOT NULL,
    rejected  INTEGER NOT NULL,           -- how many of them were rejected
    safe      INTEGER NOT NULL,           -- through where devices were told that backups cover it; never less again
    UNIQUE (device, epoch)
) STRICT;

-- Words that repeat in every row (kinds, causes, codes) are stored once.
CREATE TABLE word (
    id   INTEGER PRIMARY KEY,
    word TEXT NOT NULL UNIQUE
) STRICT;

-- One operation, applied or rejected. `revision` is the only order of the ledger.
CREATE TABLE txn (
    revision     INTEGER PRIMARY KEY,
    epoch        INTEGER NOT NULL REFERENCES epoch,
    seq          INTEGER NOT NULL,
    tag          INTEGER,                 -- 16 hex digits as a signed 64-bit integer; NULL when it came without one
    kind         INTEGER NOT NULL REFERENCES word,
    run          INTEGER REFERENCES run,  -- of the stamp; NULL: none, or unknown to this ledger
    shop_ms      INTEGER NOT NULL,        -- when it happened
    seen         INTEGER NOT NULL,
    is_uncertain INTEGER NOT NULL,
    at_ms        INTEGER,                 -- the device's own wall clock, for people only
    at_offset_s  INTEGER,
    receipt      INTEGER REFERENCES receipt,
    code         INTEGER REFERENCES word, -- why it was rejected; NULL: applied
    same_as      INTEGER,                 -- the revision that applied it under an earlier epoch's name
    UNIQUE (epoch, seq)
) STRICT;

-- What a revision did to a SKU. on_hand and reserved are the sums of these, and never change without one.
CREATE TABLE entry (
    revision       INTEGER NOT NULL REFERENCES txn,
    n              INTEGER NOT NULL,
    sku            INTEGER NOT NULL REFERENCES sku,
    effect_milli   INTEGER NOT NULL,
    reserved_milli INTEGER NOT NULL,
    cause          INTEGER NOT NULL REFERENCES word,
    previous       INTEGER NOT NULL,      -- the SKU's revision before: a history is walked without an index over it
    PRIMARY KEY (revision, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE sku (
    id             INTEGER PRIMARY KEY,
    code           TEXT NOT NULL UNIQUE,
    on_hand_milli  INTEGER NOT NULL,
    reserved_milli INTEGER NOT NULL,
    is_stocked     INTEGER NOT NULL,      -- it was received or counted once
    newest_count   INTEGER NOT NULL,      -- the revision of its anchor; 0 when it was never counted
    revision       INTEGER NOT NULL,      -- the last that changed it
    wall_ms        INTEGER NOT NULL
) STRICT;
CREATE INDEX sku_by_revision ON sku (revision);

-- A count of one SKU; the one that `sku.newest_count` names is its anchor.
CREATE TABLE count (
    revision          INTEGER PRIMARY KEY REFERENCES txn,
    counted_milli     INTEGER NOT NULL,
    took_ms           INTEGER NOT NULL,
    includes_reserved INTEGER NOT NULL,
    is_anchor         INTEGER NOT NULL    -- it was the newest when it came
) STRICT;

-- What each SKU's deleted entries come to.
CREATE TABLE closing (
    sku            INTEGER PRIMARY KEY REFERENCES sku,
    revision       INTEGER NOT NULL,      -- the last of them
    on_hand_milli  INTEGER NOT NULL,
    reserved_milli INTEGER NOT NULL,
    is_stocked     INTEGER NOT NULL,
    newest_count   INTEGER NOT NULL       -- the SKU's anchor then; 0 when it was never counted
) STRICT;

CREATE TABLE item (
    sku       INTEGER PRIMARY KEY REFERENCES sku,
    revision  INTEGER NOT NULL,
    unit      TEXT NOT NULL,
    low_milli INTEGER,
    details   TEXT NOT NULL               -- the wire's JSON object without sku and rev
) STRICT;
CREATE INDEX item_by_revision ON item (revision);

-- A receipt counts once for ever, so this outlives its text.
CREATE TABLE receipt (
    id        INTEGER PRIMARY KEY,
    receipt   TEXT NOT NULL UNIQUE,
    kind      TEXT NOT NULL,
    state     TEXT NOT NULL,
    number    TEXT NOT NULL,
    edit      INTEGER NOT NULL,           -- of the open that won
    device    TEXT NOT NULL,              -- who put it into its state
    opened_ms INTEGER,                    -- shop time; NULL unless it is open
    revision  INTEGER NOT NULL,           -- the last that changed it
    sheet     INTEGER                     -- the open or payment that a copy shows
) STRICT;
CREATE INDEX receipt_by_opened ON receipt (opened_ms) WHERE opened_ms IS NOT NULL;

-- What moved a receipt's goods. More than one is a conflict.
CREATE TABLE payment (
    receipt  INTEGER NOT NULL REFERENCES receipt,
    revision INTEGER NOT NULL REFERENCES txn,
    goods    TEXT NOT NULL,               -- digest of what was moved
    PRIMARY KEY (receipt, revision)
) STRICT, WITHOUT ROWID;

-- What an open receipt holds.
CREATE TABLE reserved (
    receipt   INTEGER NOT NULL REFERENCES receipt,
    sku       INTEGER NOT NULL REFERENCES sku,
    qty_milli INTEGER NOT NULL,
    PRIMARY KEY (receipt, sku)
) STRICT, WITHOUT ROWID;

-- What came back of a sale, which may itself be unknown as yet.
CREATE TABLE returned (
    sale      TEXT NOT NULL,
    sku       TEXT NOT NULL,
    qty_milli INTEGER NOT NULL,
    PRIMARY KEY (sale, sku)
) STRICT, WITHOUT ROWID;

-- How often a receipt sold a marked item, less how often it took it back.
CREATE TABLE mark_use (
    mark    TEXT NOT NULL,
    receipt TEXT NOT NULL,
    uses    INTEGER NOT NULL,
    PRIMARY KEY (mark, receipt)
) STRICT, WITHOUT ROWID;

-- The operation as it came: receipts, what was rejected and why, and what came without a tag.
CREATE TABLE body (
    revision  INTEGER PRIMARY KEY REFERENCES txn,
    operation BLOB NOT NULL,
    detail    TEXT
) STRICT;

-- What is left of the text of an operation that came without a tag: a resend is known by it.
CREATE TABLE digest (
    revision INTEGER PRIMARY KEY REFERENCES txn,
    digest   BLOB NOT NULL
) STRICT;

-- Bytes that name no operation.
CREATE TABLE quarantine (
    id      INTEGER PRIMARY KEY,
    device  INTEGER NOT NULL REFERENCES device,
    reason  TEXT NOT NULL,
    size    INTEGER NOT NULL,
    head    BLOB NOT NULL,
    wall_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX quarantine_by_device ON quarantine (device);

CREATE TABLE alert (
    alert    TEXT PRIMARY KEY,
    kind     TEXT NOT NULL,
    status   TEXT NOT NULL,               -- active, or acknowledged while its cause lasts
    since_ms INTEGER NOT NULL,            -- wall clock
    revision INTEGER NOT NULL,
    times    INTEGER NOT NULL,            -- how often it was raised since it last was acknowledged
    summary  TEXT NOT NULL,
    facts    TEXT NOT NULL
) STRICT;

-- A sheet to print, or that was. It is queued in the transaction of the operation that wants it.
CREATE TABLE print_job (
    id          INTEGER PRIMARY KEY,
    printer     TEXT NOT NULL,
    receipt     INTEGER REFERENCES receipt, -- NULL: a test page
    device      TEXT NOT NULL,            -- who hears what becomes of it
    revision    INTEGER REFERENCES txn,   -- the operation that it shows
    skus        TEXT,                     -- JSON: the lines of its stations; NULL: all
    headings    TEXT NOT NULL,            -- JSON
    state       TEXT NOT NULL,
    reason      TEXT NOT NULL,
    marker      TEXT,                     -- of its attempt
    attempts    INTEGER NOT NULL,
    failures    INTEGER NOT NULL,         -- how often its sheet could not be made, by a fault of our own
    copy_of     INTEGER UNIQUE REFERENCES print_job, -- the doubtful job that this one repeats
    copies      INTEGER NOT NULL,         -- how many in its chain were made without a person
    queued_ms   INTEGER NOT NULL,         -- shop time
    stale_at_ms INTEGER                   -- shop time from which it is printed only on demand; NULL: it was demanded
) STRICT;
CREATE INDEX print_job_by_state ON print_job (state, printer, id);
CREATE INDEX print_job_stale ON print_job (revision) WHERE state = 'skipped-stale';
CREATE INDEX print_job_by_receipt ON print_job (receipt);

-- The printers of this run.
CREATE TABLE printer (
    printer      TEXT PRIMARY KEY,
    state        TEXT NOT NULL,
    reason       TEXT NOT NULL,
    is_paper_low INTEGER NOT NULL,
    moved_ms     INTEGER NOT NULL         -- shop time at which its queue last moved, or began
) STRICT;
