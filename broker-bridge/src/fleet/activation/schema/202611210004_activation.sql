-- An activation: a permit to register nodes. Its code is sealed under the key outside the database.
CREATE TABLE activation (
  activation_id TEXT NOT NULL PRIMARY KEY,
  sealed_code BYTEA NOT NULL,
  description TEXT,
  default_instance_name TEXT,
  iam_role TEXT NOT NULL,
  registration_limit BIGINT NOT NULL,
  registrations_count BIGINT NOT NULL DEFAULT 0,
  expires_ms BIGINT NOT NULL,
  created_ms BIGINT NOT NULL,
  tags TEXT NOT NULL,
  registration_metadata TEXT NOT NULL,
  deleted_ms BIGINT
);
