-- behind: never sent, and its node is to answer others first. Such a row has no next_send_ms until its turn comes.
ALTER TABLE invocation ADD COLUMN behind BIGINT NOT NULL DEFAULT 0;
CREATE INDEX invocation_behind ON invocation (node_id, command_id) WHERE behind = 1;
CREATE INDEX invocation_unanswered_of_node ON invocation (node_id) WHERE state = 'sent';
