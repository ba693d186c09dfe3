-- Who signs in, what they did, and answers kept for repeated requests.

CREATE TABLE users (
    name TEXT PRIMARY KEY NOT NULL,
    role TEXT NOT NULL,
    password_hash TEXT NOT NULL,
    customer TEXT REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED,
    reseller TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE tokens (
    id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    hash TEXT NOT NULL UNIQUE,
    customer TEXT REFERENCES customers (id) DEFERRABLE INITIALLY DEFERRED,
    reseller TEXT,
    expires_at BIGINT,
    created_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    hash TEXT PRIMARY KEY NOT NULL,
    "user" TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    csrf TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);

CREATE INDEX sessions_user ON sessions ("user");
CREATE INDEX sessions_expires_at ON sessions (expires_at);

-- No foreign keys: the log outlives whom and what it speaks of.
CREATE TABLE audit (
    id TEXT PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    resource TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    before TEXT,
    after TEXT
);

CREATE INDEX audit_resource ON audit (resource, resource_id, id);
CREATE INDEX audit_actor ON audit (actor, id);

CREATE TABLE idempotency (
    actor TEXT NOT NULL,
    "key" TEXT NOT NULL,
    status BIGINT NOT NULL,
    body TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (actor, "key")
);

CREATE INDEX idempotency_created_at ON idempotency (created_at);
