-- Call records. No foreign keys: a record outlives the customer and the trunk it names, and
-- must never be refused. Ids are UUIDv7, so (started_at, id) is the order of calls.

CREATE TABLE cdrs (
    id TEXT PRIMARY KEY NOT NULL,
    node TEXT NOT NULL,
    direction TEXT NOT NULL,
    did TEXT,
    customer_id TEXT,
    caller TEXT NOT NULL,
    caller_class TEXT NOT NULL,
    trunk_in TEXT,
    started_at BIGINT NOT NULL,
    ringing_at BIGINT,
    answered_at BIGINT,
    ended_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    result TEXT NOT NULL,
    sip_status BIGINT NOT NULL,
    q850_cause BIGINT NOT NULL,
    ended_by TEXT NOT NULL,
    answered_by TEXT,
    recording_id TEXT,
    price TEXT,
    cost TEXT,
    legs TEXT NOT NULL
);

CREATE INDEX cdrs_started_at ON cdrs (started_at DESC, id DESC);
CREATE INDEX cdrs_did ON cdrs (did, started_at DESC, id DESC);
CREATE INDEX cdrs_customer ON cdrs (customer_id, started_at DESC, id DESC);
CREATE INDEX cdrs_caller ON cdrs (caller, started_at DESC, id DESC);
