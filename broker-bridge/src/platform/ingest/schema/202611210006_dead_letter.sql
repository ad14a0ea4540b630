-- Messages that could not be taken, for a person to look at. Bounded: the oldest make place.
CREATE TABLE dead_letter (
  letter_id TEXT NOT NULL PRIMARY KEY,
  at_ms BIGINT NOT NULL,
  topic TEXT NOT NULL,
  reason TEXT NOT NULL,
  payload BYTEA NOT NULL
);
