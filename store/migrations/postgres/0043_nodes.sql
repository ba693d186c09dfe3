-- PostgreSQL only: the nodes that work on this database, and their live calls for each other's
-- screens. Unlogged: what is true now need not survive the server, every node writes it again.
-- Times are of the database's clock, the only one that all nodes share.

CREATE UNLOGGED TABLE nodes (
    name TEXT PRIMARY KEY NOT NULL,
    instance TEXT NOT NULL,
    version TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    calls_active BIGINT NOT NULL,
    calls_talking BIGINT NOT NULL
);

CREATE UNLOGGED TABLE live_calls (
    node TEXT NOT NULL,
    id TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (node, id)
);
