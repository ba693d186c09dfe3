-- Which rows each revision changed, so that a node reads those again and not everything. A
-- revision that says nothing here, or names the kind *, stands for everything. Only the newest
-- revisions are kept: who is further behind reads the whole.

CREATE TABLE changes (
    revision BIGINT NOT NULL,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (revision, kind, id)
);

-- A change of a DID is judged with the extensions that present it.
CREATE INDEX extensions_presented_did ON extensions (presented_did);
