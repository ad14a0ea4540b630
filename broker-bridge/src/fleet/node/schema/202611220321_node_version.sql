-- Leads from one version of the agent that a fleet has to the next, however many nodes have it.
CREATE INDEX node_by_agent_version ON node (agent_version);
