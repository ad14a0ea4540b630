-- Since when nothing of a node is taken up, because two devices speak under its identity.
ALTER TABLE node ADD COLUMN quarantined_ms BIGINT;
CREATE INDEX node_quarantined ON node (node_id) WHERE quarantined_ms IS NOT NULL;

-- The hashes of the last reports of a chain, so that a copy of the node that is behind is told from a report that came twice.
ALTER TABLE node_stream ADD COLUMN recent BYTEA;
