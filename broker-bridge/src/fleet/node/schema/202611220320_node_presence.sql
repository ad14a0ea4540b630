-- online is 1 for a node that is connected and 0 for one that is gone. 2 is a node that was connected when the bridge lost the broker, and of
-- which nothing was heard since: it is shown as gone, and what waits for it is sent all the same, because presence that is told anew can be lost.
CREATE INDEX node_presence_unknown ON node (node_id) WHERE online = 2;
