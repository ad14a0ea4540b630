-- Documents that operators made; the built-in ones are part of the program.
CREATE TABLE document (
  name TEXT NOT NULL PRIMARY KEY,
  format TEXT NOT NULL,
  content TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  display_name TEXT,
  version_name TEXT,
  target_type TEXT,
  created_by TEXT NOT NULL,
  created_ms BIGINT NOT NULL
);
