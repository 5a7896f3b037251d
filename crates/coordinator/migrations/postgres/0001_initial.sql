-- Times are microseconds since 1970 (UTC); ids are UUIDs in text; JSON is text,
-- because a metric's digits must survive, and neither database's JSON type
-- promises that.

CREATE TABLE tasks (
    id               TEXT PRIMARY KEY,
    slug             TEXT NOT NULL UNIQUE,
    state            TEXT NOT NULL CHECK (state IN ('live', 'paused', 'closed')),
    competition_mode TEXT NOT NULL,
    quorum           BIGINT NOT NULL CHECK (quorum BETWEEN 1 AND 32),
    base_commit      TEXT NOT NULL,
    document         TEXT NOT NULL,
    created_at       BIGINT NOT NULL,
    updated_at       BIGINT NOT NULL
);
CREATE INDEX tasks_by_age ON tasks (created_at, id);

CREATE TABLE claims (
    id                 TEXT PRIMARY KEY,
    task_id            TEXT NOT NULL REFERENCES tasks (id),
    miner_hotkey       TEXT NOT NULL,
    claim_description  TEXT NOT NULL,
    base_submission_id TEXT,
    work_item_id       TEXT,
    status             TEXT NOT NULL CHECK (status IN ('active', 'submitted', 'cancelled', 'expired')),
    expires_at         BIGINT NOT NULL,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL
);
CREATE INDEX claims_of_miner ON claims (task_id, miner_hotkey, status);
CREATE INDEX claims_expiring ON claims (status, expires_at);
CREATE INDEX claims_by_age ON claims (created_at, id);
CREATE INDEX claims_of_task ON claims (task_id, created_at, id);

-- The wide columns come last, so that lists never read them.
CREATE TABLE submissions (
    id                        TEXT PRIMARY KEY,
    claim_id                  TEXT NOT NULL UNIQUE REFERENCES claims (id),
    task_id                   TEXT NOT NULL REFERENCES tasks (id),
    miner_hotkey              TEXT NOT NULL,
    status                    TEXT NOT NULL
        CHECK (status IN ('pending_verification', 'accepted', 'rejected', 'error')),
    consensus                 TEXT NOT NULL
        CHECK (consensus IN ('waiting', 'agreed', 'disagreement')),
    base_ref                  TEXT NOT NULL,
    summary                   TEXT NOT NULL,
    claimed_metrics           TEXT NOT NULL,
    proposed_idea             TEXT,
    implemented_submission_id TEXT,
    patch_sha256              TEXT,
    patch_bytes               BIGINT NOT NULL,
    artifact_uri              TEXT,
    artifact_sha256           TEXT,
    artifact_size_bytes       BIGINT,
    spec_digest               TEXT NOT NULL,
    duplicate_of              TEXT,
    outcome_code              TEXT,
    observed_metrics          TEXT,
    patched_tree              TEXT,
    decided_at                BIGINT,
    created_at                BIGINT NOT NULL,
    updated_at                BIGINT NOT NULL,
    patch                     TEXT NOT NULL,
    execution_log             TEXT NOT NULL,
    spec                      TEXT NOT NULL
);
-- One hotkey may not resubmit what is pending or decided; what ended in an
-- error was nobody's verdict and may be tried again.
CREATE UNIQUE INDEX submissions_identity ON submissions (task_id, miner_hotkey, spec_digest)
    WHERE status <> 'error';
CREATE INDEX submissions_by_content ON submissions (task_id, spec_digest, created_at);
CREATE INDEX submissions_by_tree ON submissions (task_id, patched_tree);
CREATE INDEX submissions_by_age ON submissions (created_at, id);
CREATE INDEX submissions_of_task ON submissions (task_id, created_at, id);
CREATE INDEX submissions_by_status ON submissions (status, created_at, id);
CREATE INDEX submissions_of_task_by_status ON submissions (task_id, status, created_at, id);

-- One row per submission and validator; its id is the job's id.
CREATE TABLE verifications (
    id                TEXT PRIMARY KEY,
    submission_id     TEXT NOT NULL REFERENCES submissions (id),
    task_id           TEXT NOT NULL REFERENCES tasks (id),
    validator_hotkey  TEXT NOT NULL,
    status            TEXT NOT NULL CHECK (status IN ('leased', 'accepted', 'rejected', 'error')),
    lease_expires_at  BIGINT NOT NULL,
    retry_at          BIGINT NOT NULL,
    attempts          BIGINT NOT NULL,
    submission_faults BIGINT NOT NULL,
    outcome_code      TEXT,
    fault             TEXT,
    observed_metrics  TEXT NOT NULL,
    patched_tree      TEXT,
    spec_digest       TEXT NOT NULL,
    result_digest     TEXT,
    created_at        BIGINT NOT NULL,
    updated_at        BIGINT NOT NULL,
    notes             TEXT NOT NULL,
    receipt           TEXT,
    replay_log        TEXT NOT NULL,
    UNIQUE (submission_id, validator_hotkey)
);
CREATE INDEX verifications_by_age ON verifications (created_at, id);
CREATE INDEX verifications_of_validator ON verifications (validator_hotkey, status);

-- Who was best when: current where left_at is null.
CREATE TABLE bests (
    submission_id TEXT PRIMARY KEY REFERENCES submissions (id),
    task_id       TEXT NOT NULL REFERENCES tasks (id),
    entered_at    BIGINT NOT NULL,
    left_at       BIGINT
);
CREATE INDEX bests_of_task ON bests (task_id, left_at);

-- Each miner's best accepted submission of a task, duplicates left out.
CREATE TABLE standings (
    task_id        TEXT NOT NULL REFERENCES tasks (id),
    miner_hotkey   TEXT NOT NULL,
    submission_id  TEXT NOT NULL REFERENCES submissions (id),
    accepted_count BIGINT NOT NULL,
    PRIMARY KEY (task_id, miner_hotkey)
);

CREATE TABLE peer_evaluations (
    id                TEXT PRIMARY KEY,
    submission_id     TEXT NOT NULL REFERENCES submissions (id),
    task_id           TEXT NOT NULL REFERENCES tasks (id),
    evaluator_hotkey  TEXT NOT NULL,
    status            TEXT NOT NULL CHECK (status IN ('accepted', 'rejected')),
    observed_metrics  TEXT NOT NULL,
    notes             TEXT NOT NULL,
    created_at        BIGINT NOT NULL,
    UNIQUE (submission_id, evaluator_hotkey)
);
CREATE INDEX peer_evaluations_by_age ON peer_evaluations (created_at, id);

CREATE TABLE work_items (
    id                 TEXT PRIMARY KEY,
    task_id            TEXT NOT NULL REFERENCES tasks (id),
    kind               TEXT NOT NULL CHECK (kind IN ('first_result', 'improve_best', 'implement_idea')),
    source             TEXT NOT NULL,
    priority           BIGINT NOT NULL,
    title              TEXT NOT NULL,
    description        TEXT NOT NULL,
    base_submission_id TEXT,
    idea_submission_id TEXT,
    status             TEXT NOT NULL CHECK (status IN ('open', 'claimed', 'completed', 'obsolete')),
    claim_id           TEXT,
    claimed_by         TEXT,
    submission_id      TEXT,
    created_at         BIGINT NOT NULL,
    updated_at         BIGINT NOT NULL,
    UNIQUE (task_id, kind, source)
);
CREATE INDEX work_items_by_age ON work_items (created_at, id);
CREATE INDEX work_items_of_claim ON work_items (claim_id);

CREATE TABLE idea_rewards (
    implementing_submission_id TEXT PRIMARY KEY REFERENCES submissions (id),
    idea_submission_id         TEXT NOT NULL REFERENCES submissions (id),
    task_id                    TEXT NOT NULL REFERENCES tasks (id),
    proposer_hotkey            TEXT NOT NULL,
    implementer_hotkey         TEXT NOT NULL,
    improved_best              BIGINT NOT NULL,
    created_at                 BIGINT NOT NULL
);
CREATE INDEX idea_rewards_of_task ON idea_rewards (task_id);
CREATE INDEX idea_rewards_by_age ON idea_rewards (created_at);

CREATE TABLE reward_policies (
    version    BIGINT PRIMARY KEY,
    document   TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- Signatures that were used, until their timestamps are stale anyway.
CREATE TABLE used_signatures (
    signature  TEXT PRIMARY KEY,
    expires_at BIGINT NOT NULL
);
CREATE INDEX used_signatures_by_age ON used_signatures (expires_at);

-- Who did what when. Never changed: the trigger holds even for an operator's slip.
CREATE TABLE events (
    seq            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at             BIGINT NOT NULL,
    actor          TEXT NOT NULL,
    action         TEXT NOT NULL,
    subject        TEXT NOT NULL,
    task_id        TEXT,
    request_digest TEXT,
    detail         TEXT NOT NULL
);
CREATE INDEX events_of_subject ON events (subject, seq);
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$;
CREATE TRIGGER events_are_not_changed BEFORE UPDATE OR DELETE OR TRUNCATE ON events
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
