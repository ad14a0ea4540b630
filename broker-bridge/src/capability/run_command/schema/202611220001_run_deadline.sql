-- When silence about a run becomes its end. What was sent before this migration has no such time.
ALTER TABLE command ADD COLUMN ends_by_ms BIGINT NOT NULL DEFAULT 9223372036854775807;
-- While a node has an order, give_up_ms is when its silence is looked at.
UPDATE invocation SET give_up_ms = 9223372036854775807 WHERE state IN ('accepted', 'running');
-- The node said what it holds, and this was not among it.
ALTER TABLE invocation ADD COLUMN lost BIGINT NOT NULL DEFAULT 0;
CREATE INDEX invocation_to_interrupt ON invocation (give_up_ms) WHERE state IN ('accepted', 'running');
-- A cancel goes on being asked for where a time-out was only guessed.
CREATE INDEX invocation_guessed_to_cancel ON invocation (node_id) WHERE state = 'delivery-timed-out' AND cancel_asked_ms IS NOT NULL;
