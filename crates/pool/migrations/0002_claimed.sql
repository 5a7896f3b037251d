-- What the contract had paid, as the publisher last read it: all of one finalized
-- block. Amounts and the numbers of epochs are texts: 64 bits fit into no BIGINT.
CREATE TABLE claimed_reading (
    id              BIGINT PRIMARY KEY CHECK (id = 1),
    finalized_block BIGINT NOT NULL,
    -- The epoch file whose hotkeys were asked about.
    file_sha256     TEXT NOT NULL,
    -- The contract's books at that block.
    latest_epoch    TEXT,
    outstanding_rao TEXT NOT NULL
);

-- By hotkey; one that is not here was paid nothing.
CREATE TABLE claimed (
    hotkey     TEXT PRIMARY KEY,
    amount_rao TEXT NOT NULL
);
