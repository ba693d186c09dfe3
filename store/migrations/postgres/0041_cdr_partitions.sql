-- PostgreSQL only: call records in one partition a month, so that old months go by dropping a
-- table. The months are those of UTC: the bounds are technical, reports use the operator's zone.
-- A primary key of a partitioned table holds the partition's key; the id is made with the start
-- of the call and both are of one record, so a record that is delivered again meets itself.
-- Rows begin in cdrs_rest, which takes what has no month's partition, and are moved from there
-- when the program makes the months.

DO $$
DECLARE
    definition TEXT;
    definitions TEXT[] := ARRAY(
        SELECT pg_get_indexdef(indexrelid) FROM pg_index
        WHERE indrelid = 'cdrs'::regclass AND NOT indisprimary
    );
BEGIN
    ALTER TABLE cdrs RENAME TO cdrs_plain;
    CREATE TABLE cdrs (
        LIKE cdrs_plain INCLUDING DEFAULTS,
        CONSTRAINT cdrs_by_id PRIMARY KEY (id, started_at)
    ) PARTITION BY RANGE (started_at);
    CREATE TABLE cdrs_rest PARTITION OF cdrs DEFAULT;
    INSERT INTO cdrs SELECT * FROM cdrs_plain;
    DROP TABLE cdrs_plain;
    FOREACH definition IN ARRAY definitions LOOP
        EXECUTE definition;
    END LOOP;
END $$;
