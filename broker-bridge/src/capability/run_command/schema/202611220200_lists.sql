-- What lists walk, always by command id from the newest on. Each is kept by the one statement that changes its columns.
-- Of a command only what a list filters by, apart from the wide rows.
CREATE INDEX command_by_status ON command (status, command_id, status_details, document_name);
CREATE UNIQUE INDEX command_by_document ON command (document_name, command_id);
-- Few at any time: they lead to the few invocations that are still open. Unique, so that SQLite sees that these need no sorting.
CREATE UNIQUE INDEX command_unfinished ON command (command_id) WHERE count_pending + count_sent + count_active > 0;
-- What ended, and not well: an invocation that succeeds never touches it. Written without IN, for which SQLite would build a table
-- of its own with every change of a state.
CREATE INDEX invocation_unsuccessful ON invocation (command_id, node_id, state) WHERE state <> 'pending' AND state <> 'sent'
  AND state <> 'accepted' AND state <> 'running' AND state <> 'succeeded';
