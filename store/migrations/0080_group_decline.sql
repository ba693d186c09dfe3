-- Whether one member's 6xx ends the hunt of its group.

ALTER TABLE hunt_groups ADD COLUMN ends_on_decline BIGINT NOT NULL DEFAULT 0;
