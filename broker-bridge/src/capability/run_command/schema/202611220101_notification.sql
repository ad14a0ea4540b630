-- Whom a command tells of its changes: the JSON of its NotificationConfig, empty for nobody. The role is kept and means nothing.
ALTER TABLE command ADD COLUMN notification TEXT NOT NULL DEFAULT '';
ALTER TABLE command ADD COLUMN service_role TEXT NOT NULL DEFAULT '';
