-- What became of the messages of a webhook; waiting says how many there are in webhook_message.
CREATE TABLE webhook (
  name TEXT NOT NULL PRIMARY KEY,
  waiting BIGINT NOT NULL DEFAULT 0,
  delivered BIGINT NOT NULL DEFAULT 0,
  given_up BIGINT NOT NULL DEFAULT 0,
  dropped BIGINT NOT NULL DEFAULT 0
);

-- A message that was not delivered yet. sequence numbers all messages that the webhook ever had.
CREATE TABLE webhook_message (
  webhook TEXT NOT NULL,
  sequence BIGINT NOT NULL,
  message_id TEXT NOT NULL,
  body TEXT NOT NULL,
  created_ms BIGINT NOT NULL,
  attempts BIGINT NOT NULL DEFAULT 0,
  next_ms BIGINT NOT NULL,
  PRIMARY KEY (webhook, sequence)
);
CREATE INDEX webhook_message_due ON webhook_message (webhook, next_ms, sequence);
