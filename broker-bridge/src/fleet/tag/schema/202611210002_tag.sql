-- Tags of nodes and documents; resource_type is a word of the API (ManagedInstance, Document).
CREATE TABLE tag (
  resource_type TEXT NOT NULL,
  resource_id TEXT NOT NULL,
  tag_key TEXT NOT NULL,
  tag_value TEXT NOT NULL,
  PRIMARY KEY (resource_type, resource_id, tag_key)
);

CREATE INDEX tag_by_value ON tag (resource_type, tag_key, tag_value, resource_id);
