-- People and programs that may call the API.
CREATE TABLE api_user (
  name TEXT NOT NULL PRIMARY KEY,
  role TEXT NOT NULL,
  created_ms BIGINT NOT NULL
);

-- What they sign their requests with; the secret is sealed under a key outside the database.
CREATE TABLE access_key (
  access_key_id TEXT NOT NULL PRIMARY KEY,
  user_name TEXT NOT NULL REFERENCES api_user (name) ON DELETE CASCADE,
  sealed_secret BYTEA NOT NULL,
  created_ms BIGINT NOT NULL
);

CREATE INDEX access_key_by_user ON access_key (user_name);
