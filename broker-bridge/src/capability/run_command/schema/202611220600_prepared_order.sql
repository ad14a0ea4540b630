-- A command that awaits signatures sends nothing. Its envelope has none then, and all of them once it is released.
ALTER TABLE command ADD COLUMN awaits_signature BIGINT NOT NULL DEFAULT 0;

-- An order that was prepared for people to sign. It stays as a record after it was released, rejected or has expired.
CREATE TABLE prepared_order (
  command_id TEXT NOT NULL PRIMARY KEY,
  state TEXT NOT NULL,
  class TEXT NOT NULL,
  reason TEXT NOT NULL DEFAULT '',
  closed_by TEXT NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX prepared_order_by_state ON prepared_order (state, command_id);

-- A signature that was handed in. Whether it counts is judged by the newest trust bundle, each time anew.
CREATE TABLE prepared_signature (
  command_id TEXT NOT NULL,
  algorithm BIGINT NOT NULL,
  key_id BYTEA NOT NULL,
  signature BYTEA NOT NULL,
  person TEXT NOT NULL,
  user_name TEXT NOT NULL,
  signed_ms BIGINT NOT NULL,
  PRIMARY KEY (command_id, algorithm, key_id)
);
