-- What became of the messages of a webhook; waiting says how many there are in webhook_message.
CREATE TABLE webhook (
  name TEXT NOT NULL PRIMARY KEY,
  waiting BIGINT NOT NULL DEFAULT 0,
  delivered BIGINT NOT NULL DEFAULT 0,
  given_up BIGINT NOT NULL DEFAULT 0,
  dropped BIGINT NOT NULL DEFAULT 0
);

-- A message that was not delivered yet. message_id begins with its time, so its order is the order in time.
CREATE TABLE webhook_message (
  message_id TEXT NOT NULL PRIMARY KEY,
  webhook TEXT NOT NULL,
  body TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  attempts BIGINT NOT NULL DEFAULT 0,
  next_ms BIGINT NOT NULL
);
CREATE INDEX webhook_message_due ON webhook_message (webhook, next_ms, message_id);
CREATE INDEX webhook_message_oldest ON webhook_message (webhook, message_id);
