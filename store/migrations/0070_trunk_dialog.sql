-- Session timers (RFC 4028), reliable ringing (RFC 3262) and transfers of a trunk.

ALTER TABLE trunks ADD COLUMN session_timer TEXT NOT NULL DEFAULT '{}';
ALTER TABLE trunks ADD COLUMN prack TEXT;
ALTER TABLE trunks ADD COLUMN transfer BIGINT NOT NULL DEFAULT 0;
