-- With the id in it the index gives the order, too. Without it every submission of
-- the task was looked at, for each one that arrived.
DROP INDEX submissions_by_content;
CREATE INDEX submissions_by_content ON submissions (task_id, spec_digest, created_at, id);
-- What a miner's standing is computed from, at each decision.
CREATE INDEX submissions_of_miner ON submissions (task_id, miner_hotkey, status, created_at, id);
