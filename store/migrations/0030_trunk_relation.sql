-- Accounts, registration and health of trunks, each a JSON object or nothing.

ALTER TABLE trunks ADD COLUMN auth TEXT;
ALTER TABLE trunks ADD COLUMN auth_in TEXT;
ALTER TABLE trunks ADD COLUMN "register" TEXT;
ALTER TABLE trunks ADD COLUMN health TEXT;
ALTER TABLE trunks ADD COLUMN follow_redirects BIGINT NOT NULL DEFAULT 0;
