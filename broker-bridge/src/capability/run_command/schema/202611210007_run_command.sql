-- A command: one signed order. The counts say where its invocations stand, and are kept in the transaction that moves them.
CREATE TABLE command (
  command_id TEXT NOT NULL PRIMARY KEY,
  envelope BYTEA NOT NULL,
  requester TEXT NOT NULL,
  document_name TEXT NOT NULL,
  document_version TEXT NOT NULL,
  steps TEXT NOT NULL,
  comment TEXT NOT NULL,
  parameters TEXT NOT NULL,
  instance_ids TEXT NOT NULL,
  targets TEXT NOT NULL,
  requested_ms BIGINT NOT NULL,
  expires_ms BIGINT NOT NULL,
  timeout_seconds BIGINT NOT NULL,
  max_concurrency TEXT NOT NULL,
  max_errors TEXT NOT NULL,
  limit_concurrency BIGINT NOT NULL,
  limit_errors BIGINT NOT NULL,
  cancel_asked_ms BIGINT,
  status TEXT NOT NULL,
  status_details TEXT NOT NULL,
  count_pending BIGINT NOT NULL,
  count_sent BIGINT NOT NULL,
  count_active BIGINT NOT NULL,
  count_succeeded BIGINT NOT NULL,
  count_failed BIGINT NOT NULL,
  count_execution_timed_out BIGINT NOT NULL,
  count_cancelled BIGINT NOT NULL,
  count_delivery_timed_out BIGINT NOT NULL,
  count_refused BIGINT NOT NULL,
  count_undeliverable BIGINT NOT NULL,
  count_terminated BIGINT NOT NULL
);
CREATE INDEX command_open ON command (command_id) WHERE count_pending > 0;

-- An invocation: a command on one node. next_send_ms is empty while the node is offline and when nothing is to be sent.
CREATE TABLE invocation (
  command_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  leaf_index BIGINT NOT NULL,
  proof BYTEA NOT NULL,
  requested_ms BIGINT NOT NULL,
  state TEXT NOT NULL,
  signed BIGINT NOT NULL DEFAULT 0,
  send_count BIGINT NOT NULL DEFAULT 0,
  next_send_ms BIGINT,
  give_up_ms BIGINT NOT NULL,
  cancel_asked_ms BIGINT,
  cancel_count BIGINT NOT NULL DEFAULT 0,
  next_cancel_ms BIGINT,
  started_ms BIGINT,
  ended_ms BIGINT,
  explanation TEXT NOT NULL DEFAULT '',
  result BYTEA,
  PRIMARY KEY (command_id, node_id)
);
CREATE INDEX invocation_by_node ON invocation (node_id, command_id);
CREATE INDEX invocation_open_of_node ON invocation (node_id) WHERE state IN ('pending', 'sent', 'accepted', 'running');
CREATE INDEX invocation_to_send ON invocation (command_id, next_send_ms) WHERE state = 'pending';
CREATE INDEX invocation_to_send_again ON invocation (next_send_ms) WHERE state = 'sent' AND next_send_ms IS NOT NULL;
CREATE INDEX invocation_to_give_up ON invocation (give_up_ms) WHERE state IN ('pending', 'sent');
CREATE INDEX invocation_to_cancel ON invocation (next_cancel_ms) WHERE next_cancel_ms IS NOT NULL;

-- The output of a step, appended in order.
CREATE TABLE command_output (
  command_id TEXT NOT NULL,
  node_id TEXT NOT NULL,
  step BIGINT NOT NULL,
  stream BIGINT NOT NULL,
  chunk_offset BIGINT NOT NULL,
  end_offset BIGINT NOT NULL,
  bytes BYTEA NOT NULL,
  PRIMARY KEY (command_id, node_id, step, stream, chunk_offset)
);
