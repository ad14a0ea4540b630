-- What a node has of a type, under a number of its own by which its entries are found. table_hash is what the node's changes are made from,
-- nothing where it is not known; attributes is a JSON list; stale says that the node has something else by now and will say all of it anew;
-- source is node or api.
CREATE TABLE inventory_node (
  place BIGINT NOT NULL PRIMARY KEY,
  node_id TEXT NOT NULL,
  type_name TEXT NOT NULL,
  schema_version TEXT NOT NULL,
  captured_ms BIGINT NOT NULL,
  table_hash BYTEA,
  content_hash TEXT NOT NULL,
  attributes TEXT NOT NULL,
  entries BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  stale BIGINT NOT NULL DEFAULT 0,
  source TEXT NOT NULL,
  UNIQUE (node_id, type_name)
);
CREATE INDEX inventory_node_by_type ON inventory_node (type_name, node_id, source);

-- The highest place and the highest number of an entry that were ever given: none is given twice, so that what is up to a number today stays so.
CREATE TABLE inventory_number (
  kind TEXT NOT NULL PRIMARY KEY,
  last BIGINT NOT NULL
);

-- Each entry once, however many nodes have it: a JSON object of its attributes without those that are empty. hash is the first half of SHA-256
-- over type and content, name the beginning of the attribute Name.
CREATE TABLE inventory_entry (
  entry_number BIGINT NOT NULL PRIMARY KEY,
  hash BYTEA NOT NULL UNIQUE,
  type_name TEXT NOT NULL,
  name TEXT NOT NULL,
  content TEXT NOT NULL
);
CREATE INDEX inventory_entry_by_type ON inventory_entry (type_name, entry_number);
CREATE INDEX inventory_entry_by_name ON inventory_entry (type_name, name, entry_number);

CREATE TABLE inventory_node_entry (
  place BIGINT NOT NULL REFERENCES inventory_node (place) ON DELETE CASCADE,
  entry_number BIGINT NOT NULL,
  PRIMARY KEY (place, entry_number)
);
CREATE INDEX inventory_node_entry_by_entry ON inventory_node_entry (entry_number, place);

-- Pieces of the one change of each node that is under way; change_hash is over what all its pieces have in common.
CREATE TABLE inventory_piece (
  node_id TEXT NOT NULL,
  piece BIGINT NOT NULL,
  change_hash BYTEA NOT NULL,
  bytes BYTEA NOT NULL,
  PRIMARY KEY (node_id, piece)
);

-- Types that are not AWS's: the newest version that was seen, all attributes that were put, those that nodes have reported (as far as they are
-- shown), and the version up to which nothing is taken any more.
CREATE TABLE inventory_type (
  type_name TEXT NOT NULL PRIMARY KEY,
  schema_version TEXT NOT NULL,
  attributes TEXT NOT NULL,
  node_attributes TEXT NOT NULL,
  disabled TEXT
);

-- Deletions of types. last_place is the highest number of what is removed, remaining how much of it is left, summary a JSON object by version.
CREATE TABLE inventory_deletion (
  deletion_id TEXT NOT NULL PRIMARY KEY,
  type_name TEXT NOT NULL,
  schema_option TEXT NOT NULL,
  client_token TEXT,
  started_ms BIGINT NOT NULL,
  updated_ms BIGINT NOT NULL,
  last_place BIGINT NOT NULL,
  remaining BIGINT NOT NULL,
  summary TEXT NOT NULL
);
CREATE INDEX inventory_deletion_by_token ON inventory_deletion (client_token);
CREATE INDEX inventory_deletion_by_type ON inventory_deletion (type_name, remaining);
