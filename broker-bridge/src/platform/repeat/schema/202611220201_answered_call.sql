-- Calls that made something, by the user and the name that the client's program gave to the call; result is the id of what was made.
CREATE TABLE answered_call (
  call_number BIGINT NOT NULL PRIMARY KEY,
  user_name TEXT NOT NULL,
  call_name TEXT NOT NULL,
  request_sha256 BYTEA NOT NULL,
  result TEXT NOT NULL,
  at_ms BIGINT NOT NULL
);
CREATE UNIQUE INDEX answered_call_by_name ON answered_call (user_name, call_name);
