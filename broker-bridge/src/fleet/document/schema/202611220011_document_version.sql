-- Versions of documents. last_version never falls, so that a number that was deleted does not come back.
CREATE TABLE document_version (
  name TEXT NOT NULL,
  version BIGINT NOT NULL,
  format TEXT NOT NULL,
  content TEXT NOT NULL,
  sha256 TEXT NOT NULL,
  display_name TEXT,
  version_name TEXT,
  target_type TEXT,
  created_by TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  PRIMARY KEY (name, version)
);
INSERT INTO document_version
  SELECT name, 1, format, content, sha256, display_name, version_name, target_type, created_by, created_ms FROM document;
CREATE UNIQUE INDEX document_version_by_name ON document_version (name, version_name);
ALTER TABLE document RENAME TO document_before_versions;
CREATE TABLE document (
  name TEXT NOT NULL PRIMARY KEY,
  default_version BIGINT NOT NULL,
  last_version BIGINT NOT NULL
);
INSERT INTO document SELECT name, 1, 1 FROM document_before_versions;
DROP TABLE document_before_versions;
