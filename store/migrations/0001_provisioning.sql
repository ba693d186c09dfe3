-- What operators provision. BIGINT and TEXT only, so that one text serves SQLite and PostgreSQL:
-- booleans are 0 and 1, times Unix milliseconds, lists JSON. References between rows are judged
-- before the commit, with a message; the foreign keys stand behind that, hence deferred.

CREATE TABLE meta (
    one BIGINT PRIMARY KEY CHECK (one = 1),
    revision BIGINT NOT NULL
);

INSERT INTO meta (one, revision) VALUES (1, 1);

CREATE TABLE customers (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    kana TEXT NOT NULL,
    contacts TEXT NOT NULL,
    closing_day BIGINT NOT NULL,
    state TEXT NOT NULL,
    reseller TEXT,
    note TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX customers_reseller ON customers (reseller);

CREATE TABLE dids (
    number TEXT PRIMARY KEY NOT NULL,
    customer TEXT REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED,
    state TEXT NOT NULL,
    quarantine_until TEXT,
    route TEXT NOT NULL,
    max_calls BIGINT NOT NULL,
    presented_name TEXT NOT NULL,
    note TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX dids_customer ON dids (customer);

CREATE TABLE trunks (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    enabled BIGINT NOT NULL,
    peers TEXT NOT NULL,
    sources TEXT NOT NULL,
    channels BIGINT NOT NULL,
    prefixes TEXT NOT NULL,
    priority BIGINT NOT NULL,
    number_format_in TEXT NOT NULL,
    number_format_out TEXT NOT NULL,
    did_source TEXT NOT NULL,
    default_did TEXT REFERENCES dids (number) DEFERRABLE INITIALLY DEFERRED,
    identity TEXT NOT NULL,
    trusted BIGINT NOT NULL,
    nat BIGINT NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE extensions (
    "user" TEXT PRIMARY KEY NOT NULL,
    secret TEXT,
    name TEXT NOT NULL,
    customer TEXT REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED,
    presented_did TEXT REFERENCES dids (number) DEFERRABLE INITIALLY DEFERRED,
    enabled BIGINT NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX extensions_customer ON extensions (customer);

CREATE TABLE destinations (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    customer TEXT REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED,
    number TEXT,
    uri TEXT,
    extension TEXT REFERENCES extensions ("user") DEFERRABLE INITIALLY DEFERRED,
    trunk TEXT REFERENCES trunks (id) DEFERRABLE INITIALLY DEFERRED,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX destinations_customer ON destinations (customer);

CREATE TABLE hunt_groups (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    customer TEXT REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED,
    strategy TEXT NOT NULL,
    members TEXT NOT NULL,
    ring_seconds BIGINT NOT NULL,
    overflow TEXT,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX hunt_groups_customer ON hunt_groups (customer);

CREATE TABLE schedules (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    customer TEXT REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED,
    weekly TEXT NOT NULL,
    exceptions TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE INDEX schedules_customer ON schedules (customer);
