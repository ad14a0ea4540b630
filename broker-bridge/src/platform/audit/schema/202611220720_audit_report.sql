-- What a node has signed of what an entry tells: the envelope as it came. The entry's hash covers the hash of it, so it can go without a trace
-- in the log; the newest are kept.
CREATE TABLE audit_report (
  sequence BIGINT NOT NULL PRIMARY KEY,
  envelope BYTEA NOT NULL
);
