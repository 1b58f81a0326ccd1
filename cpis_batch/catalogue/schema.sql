-- The catalogue: what is true, since when, and what is still to be done. No value of a record stands in it.
-- Instants are text in UTC to the second, dates ISO text, digests lower-case SHA-256.

CREATE TABLE commits (
    id INTEGER PRIMARY KEY,
    parent INTEGER REFERENCES commits (id),
    made_at TEXT NOT NULL,
    business_date TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (
        kind IN ('INTAKE', 'AGEING', 'EVENTS', 'TRACE', 'NATIONAL', 'MONTHLY', 'RELEASE', 'DECISION', 'ERASURE')
    ),
    program TEXT NOT NULL,
    rules TEXT NOT NULL,
    reference TEXT NOT NULL,
    register_digest TEXT NOT NULL,
    children INTEGER
) STRICT;

-- SHA-256 over all that a commit wrote for good, and over the seal before it (seal.py).
CREATE TABLE seals (
    commit_id INTEGER PRIMARY KEY REFERENCES commits (id),
    seal TEXT NOT NULL
) STRICT;

-- What one commit made of one LA: its parts and where it stands in its sequence. The newest row of an LA is its state.
CREATE TABLE la_versions (
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    la_code TEXT NOT NULL,
    plans_part TEXT NOT NULL,
    history_part TEXT,
    logical_digest TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    active_cpp INTEGER NOT NULL,
    active_lac INTEGER NOT NULL,
    active_ucpp INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    missing_since TEXT,
    next_age_out TEXT,
    oldest_end TEXT,
    epoch INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    last_kind TEXT NOT NULL,
    last_extracted_at TEXT NOT NULL,
    last_file TEXT NOT NULL,
    last_content TEXT NOT NULL,
    usual_rows INTEGER,
    office_phone TEXT NOT NULL,
    emergency_phone TEXT NOT NULL,
    PRIMARY KEY (la_code, commit_id)
) STRICT;
CREATE INDEX la_versions_by_commit ON la_versions (commit_id);

-- opening + new + reopened - deleted - erased = closing, by commit, LA and plan type: recounted from the parts.
CREATE TABLE balances (
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    la_code TEXT NOT NULL,
    plan_type TEXT NOT NULL,
    opening INTEGER NOT NULL,
    new INTEGER NOT NULL,
    reopened INTEGER NOT NULL,
    deleted INTEGER NOT NULL,
    erased INTEGER NOT NULL,
    closing INTEGER NOT NULL,
    PRIMARY KEY (commit_id, la_code, plan_type)
) STRICT;
CREATE INDEX balances_by_la ON balances (la_code, plan_type, commit_id);

-- What a commit did to the plans of one LA, counted by kind of change (vocabulary.Change; CONFIRMED is not told).
CREATE TABLE changes (
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    la_code TEXT NOT NULL,
    change TEXT NOT NULL,
    plans INTEGER NOT NULL,
    PRIMARY KEY (commit_id, la_code, change)
) STRICT;

-- Every file seen, each time it was put down for us. `name` has passed the allow-list of the format's grammar. `erased_in` is
-- the commit since which its bytes are no longer kept.
CREATE TABLE arrivals (
    id INTEGER PRIMARY KEY,
    partner TEXT NOT NULL,
    mailbox TEXT NOT NULL,
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    modified_at TEXT NOT NULL,
    seen_at TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('HELD', 'MERGED', 'DUPLICATE', 'STALE', 'REFUSED')),
    file_outcome TEXT,
    code TEXT,
    epoch INTEGER,
    sequence INTEGER NOT NULL,
    kind TEXT,
    extracted_at TEXT,
    signer TEXT,
    records INTEGER, -- rows of the text, counted by themselves; null where they were not looked at
    records_loaded INTEGER,
    records_rejected INTEGER,
    records_warned INTEGER,
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    moved_to TEXT,
    erased_in INTEGER REFERENCES commits (id),
    CHECK ((state = 'HELD') = (file_outcome IS NULL))
) STRICT;
CREATE INDEX arrivals_by_digest ON arrivals (digest);
CREATE INDEX arrivals_by_partner ON arrivals (partner, id);
CREATE INDEX arrivals_by_commit ON arrivals (commit_id);
CREATE INDEX arrivals_to_move ON arrivals (id) WHERE moved_to IS NULL;
CREATE INDEX arrivals_erased ON arrivals (erased_in) WHERE erased_in IS NOT NULL;

-- Files that could not be read and may still be growing: no arrival yet, no answer yet (FAULTS F01).
CREATE TABLE waiting (
    mailbox TEXT NOT NULL,
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    first_seen_at TEXT NOT NULL,
    PRIMARY KEY (mailbox, folder, name)
) STRICT;

-- What waits for a person, or for another file: made in one commit, decided in another.
CREATE TABLE holds (
    id INTEGER PRIMARY KEY,
    arrival_id INTEGER NOT NULL REFERENCES arrivals (id),
    partner TEXT NOT NULL,
    reason TEXT NOT NULL CHECK (reason IN ('BRAKE', 'GAP', 'RESET', 'CONFLICT', 'PARTNER_HELD', 'DEMOGRAPHICS')),
    detail TEXT NOT NULL,
    made_at TEXT NOT NULL,
    would TEXT, -- what a release would do, as JSON (records.Would), as things stood when it was held
    decision TEXT CHECK (decision IN ('RELEASED', 'REFUSED', 'OVERTAKEN')),
    decided_at TEXT,
    decided_by TEXT,
    decision_reason TEXT,
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    decided_in INTEGER REFERENCES commits (id),
    CHECK ((decision IS NULL) = (decided_in IS NULL))
) STRICT;
CREATE INDEX holds_by_commit ON holds (commit_id);
CREATE INDEX holds_by_decision ON holds (decided_in);
CREATE INDEX holds_open ON holds (partner) WHERE decision IS NULL;

-- The outbox, and the sharing log: who was sent what, for which purpose, under which agreement. `erased_in` as in arrivals.
CREATE TABLE deliveries (
    id INTEGER PRIMARY KEY,
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    arrival_id INTEGER REFERENCES arrivals (id),
    partner TEXT NOT NULL,
    kind TEXT NOT NULL,
    purpose TEXT NOT NULL,
    agreement TEXT NOT NULL,
    mailbox TEXT NOT NULL,
    folder TEXT NOT NULL,
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    size INTEGER NOT NULL,
    record_count INTEGER NOT NULL,
    made_at TEXT NOT NULL,
    delivered_at TEXT,
    collected_at TEXT,
    attempts INTEGER NOT NULL DEFAULT 0,
    last_fault TEXT,
    erased_in INTEGER REFERENCES commits (id),
    UNIQUE (mailbox, folder, name)
) STRICT;
CREATE UNIQUE INDEX one_acknowledgement ON deliveries (arrival_id) WHERE kind = 'ACKNOWLEDGEMENT';
CREATE INDEX deliveries_by_commit ON deliveries (commit_id);
CREATE INDEX deliveries_due ON deliveries (id) WHERE delivered_at IS NULL;
CREATE INDEX deliveries_erased ON deliveries (erased_in) WHERE erased_in IS NOT NULL;

-- Access events by month of the access, in parts (runs.event_parts); the newest row of a name is its state.
CREATE TABLE event_parts (
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    month TEXT NOT NULL,
    part TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    PRIMARY KEY (month, commit_id)
) STRICT;

-- What is known of persons by the trace against PDS (runs.demographics), and what authorities were told by the national view
-- (runs.national); the newest row of a name is its state.
CREATE TABLE trace_parts (
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    name TEXT NOT NULL,
    part TEXT NOT NULL,
    row_count INTEGER NOT NULL,
    PRIMARY KEY (name, commit_id)
) STRICT;

CREATE TABLE releases (
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    year INTEGER NOT NULL,
    number INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    starts TEXT NOT NULL,
    caught_up TEXT NOT NULL,
    rows_part TEXT NOT NULL,
    unroutable_part TEXT NOT NULL,
    active INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    unroutable INTEGER NOT NULL,
    PRIMARY KEY (year, number)
) STRICT;

-- active = sent + unroutable, by release, LA and plan type: recounted from the plans, the sealed files and the list.
CREATE TABLE release_balances (
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    la_code TEXT NOT NULL,
    plan_type TEXT NOT NULL,
    active INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    unroutable INTEGER NOT NULL,
    PRIMARY KEY (commit_id, la_code, plan_type)
) STRICT;

-- The rows of a release as an erasure left them: they stand in the place of those that it was made with.
CREATE TABLE release_erasures (
    commit_id INTEGER PRIMARY KEY REFERENCES commits (id),
    year INTEGER NOT NULL,
    number INTEGER NOT NULL,
    rows_part TEXT NOT NULL
) STRICT;

-- Where an authority's archived story begins, its files up to this commit having been erased: its plans and history as the
-- commit left them, in archive/<digest>.parquet. The newest one counts.
CREATE TABLE checkpoints (
    commit_id INTEGER NOT NULL REFERENCES commits (id),
    la_code TEXT NOT NULL,
    plans_part TEXT NOT NULL,
    history_part TEXT,
    PRIMARY KEY (la_code, commit_id)
) STRICT;

CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    business_date TEXT NOT NULL,
    started_at TEXT NOT NULL,
    ended_at TEXT,
    exit_code INTEGER,
    summary TEXT
) STRICT;

-- The audit log (specs/audit/1.0): each entry holds the hash of the one before; the last of a transaction is signed.
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    what TEXT NOT NULL,
    before TEXT NOT NULL,
    hash TEXT NOT NULL,
    signature TEXT
) STRICT;
CREATE INDEX audit_keys ON audit (number) WHERE kind = 'AUDIT_KEY';

CREATE VIEW la_current AS
SELECT v.* FROM la_versions AS v
WHERE v.commit_id = (SELECT max(w.commit_id) FROM la_versions AS w WHERE w.la_code = v.la_code);

CREATE VIEW event_current AS
SELECT e.* FROM event_parts AS e
WHERE e.commit_id = (SELECT max(f.commit_id) FROM event_parts AS f WHERE f.month = e.month);

CREATE VIEW trace_current AS
SELECT t.* FROM trace_parts AS t
WHERE t.commit_id = (SELECT max(u.commit_id) FROM trace_parts AS u WHERE u.name = t.name);

CREATE VIEW release_standing AS
SELECT
    r.commit_id, r.year, r.number, r.sequence, r.starts, r.caught_up,
    coalesce(
        (SELECT e.rows_part FROM release_erasures AS e
         WHERE e.year = r.year AND e.number = r.number ORDER BY e.commit_id DESC LIMIT 1),
        r.rows_part
    ) AS rows_part,
    r.unroutable_part, r.active, r.sent, r.unroutable
FROM releases AS r;

CREATE VIEW release_current AS
SELECT r.* FROM release_standing AS r
WHERE r.commit_id = (SELECT max(s.commit_id) FROM releases AS s);

CREATE VIEW checkpoint_current AS
SELECT c.* FROM checkpoints AS c
WHERE c.commit_id = (SELECT max(d.commit_id) FROM checkpoints AS d WHERE d.la_code = c.la_code);
