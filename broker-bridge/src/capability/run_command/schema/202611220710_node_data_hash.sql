-- SHA-256 of what differs per node of an order, where there is anything: it stays when that is emptied, so that the order can be checked
-- against its signatures after its end.
ALTER TABLE invocation ADD COLUMN node_data_hash BYTEA NOT NULL DEFAULT '';
