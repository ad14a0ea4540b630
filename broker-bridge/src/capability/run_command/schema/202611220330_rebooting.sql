-- Whether a command that runs on the node waits for a reboot there, which one of its steps asked for. It says nothing once the command has ended.
ALTER TABLE invocation ADD COLUMN rebooting BIGINT NOT NULL DEFAULT 0;
