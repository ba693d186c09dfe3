-- A trunk may be known by the name in its TLS certificate, and says how a request that is too
-- large for a datagram reaches it.
ALTER TABLE trunks ADD COLUMN tls_name TEXT;
ALTER TABLE trunks ADD COLUMN large_requests TEXT;
