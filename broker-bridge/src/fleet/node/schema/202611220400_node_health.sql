-- What each node last said of how it is.
CREATE TABLE node_health (
  node_id TEXT NOT NULL PRIMARY KEY,
  received_ms BIGINT NOT NULL,
  made_ms BIGINT,
  health TEXT NOT NULL
);

-- Reports of a chain that will never come: dropped by the node, which said so, and missing without a word.
CREATE TABLE node_stream_loss (
  node_id TEXT NOT NULL,
  stream BIGINT NOT NULL,
  dropped BIGINT NOT NULL,
  missing BIGINT NOT NULL,
  PRIMARY KEY (node_id, stream)
);
