-- What differs per node of an order: the command's secrets, sealed to the node. Emptied when the node has signed the end.
ALTER TABLE invocation ADD COLUMN node_data BYTEA NOT NULL DEFAULT '';
