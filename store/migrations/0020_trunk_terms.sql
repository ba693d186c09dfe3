-- What a trunk is provisioned with: profile, limits, number forms, identity in both directions.
-- A field that may come from the profile is null where the trunk itself does not say.

ALTER TABLE trunks ADD COLUMN profile TEXT;
ALTER TABLE trunks ADD COLUMN reserved_incoming BIGINT NOT NULL DEFAULT 0;
ALTER TABLE trunks ADD COLUMN max_calls_per_second BIGINT NOT NULL DEFAULT 0;

ALTER TABLE trunks RENAME COLUMN number_format_in TO number_format_in_given;
ALTER TABLE trunks ADD COLUMN number_format_in TEXT;
UPDATE trunks SET number_format_in = number_format_in_given;
ALTER TABLE trunks DROP COLUMN number_format_in_given;

ALTER TABLE trunks RENAME COLUMN number_format_out TO number_format_out_given;
ALTER TABLE trunks ADD COLUMN number_format_out TEXT;
UPDATE trunks SET number_format_out = number_format_out_given;
ALTER TABLE trunks DROP COLUMN number_format_out_given;

ALTER TABLE trunks RENAME COLUMN did_source TO did_source_given;
ALTER TABLE trunks ADD COLUMN did_source TEXT;
UPDATE trunks SET did_source = did_source_given;
ALTER TABLE trunks DROP COLUMN did_source_given;

ALTER TABLE trunks ADD COLUMN digits TEXT NOT NULL DEFAULT '{}';
ALTER TABLE trunks ADD COLUMN number_uri_out TEXT;
ALTER TABLE trunks ADD COLUMN domain TEXT;
ALTER TABLE trunks ADD COLUMN identity_in TEXT NOT NULL DEFAULT '{}';
ALTER TABLE trunks ADD COLUMN passed_headers TEXT NOT NULL DEFAULT '[]';
ALTER TABLE trunks ADD COLUMN session_id BIGINT;
ALTER TABLE trunks ADD COLUMN compact_headers BIGINT;
ALTER TABLE trunks ADD COLUMN max_redirections BIGINT;
ALTER TABLE trunks ADD COLUMN codecs TEXT;

ALTER TABLE destinations ADD COLUMN identity TEXT NOT NULL DEFAULT '{}';
