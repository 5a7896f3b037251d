-- Times are seconds since 1970 (UTC). Amounts are nowhere here: they are in the
-- epoch files, which are found by their digests.

-- Every change of mappings and epochs begins by changing this row, so that they
-- happen one after another on either database.
CREATE TABLE gate (
    id    BIGINT PRIMARY KEY CHECK (id = 1),
    turns BIGINT NOT NULL
);
INSERT INTO gate (id, turns) VALUES (1, 0);

-- The newest of a hotkey counts; the others are its history.
CREATE TABLE recipients (
    hotkey            TEXT NOT NULL,
    signed_at         BIGINT NOT NULL,
    recipient_coldkey TEXT NOT NULL,
    signature         TEXT NOT NULL,
    received_at       BIGINT NOT NULL,
    PRIMARY KEY (hotkey, signed_at)
);

CREATE TABLE epochs (
    epoch             BIGINT PRIMARY KEY,
    state             TEXT NOT NULL CHECK (state IN ('frozen', 'built', 'published', 'void')),
    contract          TEXT NOT NULL,
    budget_rao        TEXT NOT NULL,
    snapshot_sha256   TEXT NOT NULL,
    recipients_sha256 TEXT NOT NULL,
    previous_sha256   TEXT,
    frozen_at         BIGINT NOT NULL,
    -- The epoch file, once it is built.
    file_sha256       TEXT
);

-- One call to the contract each, until the chain has it for good.
CREATE TABLE deliveries (
    name              TEXT PRIMARY KEY,
    call_json         TEXT NOT NULL,
    attempt           BIGINT NOT NULL,
    signed_hex        TEXT,
    valid_until_block BIGINT,
    done_at_block     BIGINT
);

-- What a verifier found. Epochs have 20 digits: whoever publishes may choose numbers
-- that fit into no BIGINT.
CREATE TABLE checks (
    epoch           TEXT PRIMARY KEY,
    verdict         TEXT NOT NULL CHECK (verdict IN ('right', 'wrong')),
    file_sha256     TEXT,
    evidence_sha256 TEXT
);

-- What the publisher last saw of the newest published epoch.
CREATE TABLE contract (
    id              BIGINT PRIMARY KEY CHECK (id = 1),
    seen_at         BIGINT NOT NULL,
    finalized_block BIGINT NOT NULL,
    is_disputed     BIGINT NOT NULL,
    claims_open_at  BIGINT NOT NULL
);

-- When each process last said that it runs.
CREATE TABLE processes (
    name    TEXT PRIMARY KEY,
    account TEXT,
    seen_at BIGINT NOT NULL
);
