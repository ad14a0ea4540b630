-- A node. The row of a deregistered node stays, so that its key never comes back; closed says that nothing of it is open any more.
CREATE TABLE node (
  node_id TEXT NOT NULL PRIMARY KEY,
  identity_key BYTEA NOT NULL,
  sealing_key BYTEA NOT NULL,
  tls_key BYTEA NOT NULL,
  activation_id TEXT NOT NULL,
  name TEXT,
  iam_role TEXT NOT NULL,
  registered_ms BIGINT NOT NULL,
  deregistered_ms BIGINT,
  closed BIGINT NOT NULL DEFAULT 0,
  online BIGINT NOT NULL DEFAULT 0,
  last_seen_ms BIGINT NOT NULL,
  trust_version BIGINT NOT NULL DEFAULT 0,
  refused TEXT NOT NULL DEFAULT '[]',
  agent_version TEXT NOT NULL,
  platform_name TEXT NOT NULL,
  platform_version TEXT NOT NULL,
  architecture TEXT NOT NULL,
  computer_name TEXT NOT NULL,
  ip_address TEXT NOT NULL
);
CREATE INDEX node_by_activation ON node (activation_id);
CREATE INDEX node_online ON node (node_id) WHERE online = 1;
CREATE INDEX node_to_close ON node (node_id) WHERE deregistered_ms IS NOT NULL AND closed = 0;

-- The head of each chain of reports that is committed.
CREATE TABLE node_stream (
  node_id TEXT NOT NULL,
  stream BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  head BYTEA NOT NULL,
  boot BYTEA NOT NULL,
  PRIMARY KEY (node_id, stream)
);

-- What is worth a person's look: gaps, forks, lost state.
CREATE TABLE node_event (
  event_id TEXT NOT NULL PRIMARY KEY,
  node_id TEXT NOT NULL,
  at_ms BIGINT NOT NULL,
  kind TEXT NOT NULL,
  detail TEXT NOT NULL
);
CREATE INDEX node_event_by_node ON node_event (node_id, at_ms);
