-- What may be sent for the first time, by its command: dispatch begins here, so that what waits for a node that is gone costs it nothing.
CREATE INDEX invocation_due ON invocation (command_id, next_send_ms) WHERE state = 'pending' AND next_send_ms IS NOT NULL;
DROP INDEX invocation_to_send;
DROP INDEX command_open;
