-- The audit log: numbered from 1 without a gap, each entry with a hash over itself and the one before.
CREATE TABLE audit_entry (
  sequence BIGINT NOT NULL PRIMARY KEY,
  time_ms BIGINT NOT NULL,
  kind TEXT NOT NULL,
  actor TEXT NOT NULL,
  subject TEXT NOT NULL,
  -- A JSON object of texts.
  detail TEXT NOT NULL,
  hash BYTEA NOT NULL
);

-- What the bridge has signed of it: 'head' and 'base' once, with the number 0; 'checkpoint' with the number of its entry.
CREATE TABLE audit_mark (
  kind TEXT NOT NULL,
  number BIGINT NOT NULL,
  sequence BIGINT NOT NULL,
  hash BYTEA NOT NULL,
  time_ms BIGINT NOT NULL,
  signing_key BYTEA NOT NULL,
  signature BYTEA NOT NULL,
  PRIMARY KEY (kind, number)
);
