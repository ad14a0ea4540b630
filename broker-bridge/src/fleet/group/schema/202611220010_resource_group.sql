-- A resource group: a query over the tags of nodes by name; query is the JSON of a TagQuery as it was given, tags is JSON.
CREATE TABLE resource_group (
  name TEXT NOT NULL PRIMARY KEY,
  description TEXT,
  criticality BIGINT,
  owner TEXT,
  display_name TEXT,
  query TEXT NOT NULL,
  tags TEXT NOT NULL,
  created_ms BIGINT NOT NULL
);
