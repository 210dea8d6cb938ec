-- The schemas, the two shapes of RAW tables, and the application's own tables in CORE.
-- dbt builds BASE views and the CORE models; it reads the tables made here and never writes them.

CREATE SCHEMA "RAW";
CREATE SCHEMA "BASE";
CREATE SCHEMA "CORE";

-- ── RAW ─────────────────────────────────────────────────────────────────────────────────────
-- Ids are drawn from one sequence, so an id names a row of RAW whatever its table.
-- The tables themselves are made from these two shapes, one per registered source.
CREATE SEQUENCE "RAW".raw_id;

CREATE TABLE "RAW"."_WEBHOOK" (
    id           bigint PRIMARY KEY DEFAULT nextval('"RAW".raw_id'),
    event_id     text NOT NULL,         -- the provider's id of the delivery, or what stands in for it
    event_type   text,
    body         bytea NOT NULL,        -- the bytes as sent
    payload      jsonb,                 -- the same, parsed; null where it is not JSON
    headers      jsonb NOT NULL,
    signed_by    smallint NOT NULL,     -- which active secret matched, 1 = the newest
    landed_at    timestamptz NOT NULL DEFAULT now(),
    replaces_id  bigint                 -- a replay names the row it replaces (always the first one)
);

CREATE TABLE "RAW"."_FILE" (
    id              bigint PRIMARY KEY DEFAULT nextval('"RAW".raw_id'),
    file_id         bigint NOT NULL,
    row_number      integer NOT NULL,   -- line of the file, 1 = its first line
    cells           jsonb NOT NULL,     -- header text -> cell text, as sent
    loan_ref        text,               -- as sent; BASE brings it to Fineract's spelling
    payment_ref     text,               -- namespace:id of the one payment, never a UTR or bare UMRN
    payment_date    date,
    amount          numeric(19, 2),     -- rupees
    outcome         text NOT NULL,
    reason_code     text,
    reason_text     text,
    umrn            text,
    utr             text,
    method          text,
    landed_at       timestamptz NOT NULL DEFAULT now(),
    replaces_id     bigint
);

-- ── Landing ─────────────────────────────────────────────────────────────────────────────────
CREATE TABLE "CORE"."CORE_FILE_LOG" (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    raw_table        text,              -- null where the source is unknown
    source_lender    text,
    name             text NOT NULL,
    sha256           text,
    size_bytes       bigint,
    encoding         text,
    delimiter        text,
    layout           text,
    rows_read        integer NOT NULL DEFAULT 0,
    rows_landed      integer NOT NULL DEFAULT 0,
    rows_quarantined integer NOT NULL DEFAULT 0,
    control_totals   jsonb,
    seconds          numeric(12, 3),
    status           text NOT NULL CHECK (status IN ('landing', 'landed', 'duplicate', 'failed')),
    error            text,
    duplicate_of     bigint REFERENCES "CORE"."CORE_FILE_LOG" (id),
    supersedes       bigint REFERENCES "CORE"."CORE_FILE_LOG" (id),
    received_by      text NOT NULL,
    received_at      timestamptz NOT NULL DEFAULT now(),
    CHECK (status <> 'landed' OR rows_read = rows_landed + rows_quarantined)
);
-- The same bytes land once per source.
CREATE UNIQUE INDEX core_file_log_bytes ON "CORE"."CORE_FILE_LOG" (raw_table, sha256)
WHERE status = 'landed';

CREATE TABLE "CORE"."CORE_QUARANTINE" (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    raw_table      text NOT NULL,
    file_id        bigint REFERENCES "CORE"."CORE_FILE_LOG" (id),
    row_number     integer,
    event_id       text,                -- for a webhook
    reason_code    text NOT NULL,
    reason         text NOT NULL,
    original       text NOT NULL,
    quarantined_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX core_quarantine_file ON "CORE"."CORE_QUARANTINE" (file_id);

-- ── From RAW to CORE ────────────────────────────────────────────────────────────────────────
-- Rows of a RAW table up to cut_id are complete: none can still commit below it.
CREATE TABLE "CORE"."CORE_RAW_CUT" (
    raw_table text PRIMARY KEY,
    cut_id    bigint NOT NULL DEFAULT 0,
    keyed_to  bigint NOT NULL DEFAULT 0,   -- rows up to here have their key
    cut_at    timestamptz NOT NULL DEFAULT now()
);

-- Which payment each observation belongs to. Append-only: a provisional key may be followed by one
-- proper key, when the payment's loan becomes known; a proper key is for ever.
CREATE SEQUENCE "CORE".key_batch;
CREATE TABLE "CORE"."CORE_PAYMENT_KEY" (
    raw_id            bigint NOT NULL,
    raw_table         text NOT NULL,
    replaces_id       bigint,
    source_key        text NOT NULL,
    rule              text NOT NULL CHECK (rule IN (
        'same_ref', 'replaces', 'same_money', 'new', 'proven_another', 'held', 'provisional'
    )),
    occurrence        integer,             -- the n of a key made here, 0 = the formula key
    payment_ref       text,
    source_lender     text NOT NULL,
    loan_external_id  text,
    amount            numeric(19, 2),
    payment_date      date,
    reports           boolean NOT NULL,    -- the row reports a successful payment
    batch             bigint NOT NULL,
    keyed_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (raw_id, batch)
);
CREATE UNIQUE INDEX core_payment_key_proper ON "CORE"."CORE_PAYMENT_KEY" (raw_id) WHERE rule <> 'provisional';
CREATE UNIQUE INDEX core_payment_key_made ON "CORE"."CORE_PAYMENT_KEY" (source_key) WHERE occurrence IS NOT NULL;
CREATE INDEX core_payment_key_source_key ON "CORE"."CORE_PAYMENT_KEY" (source_key);
CREATE INDEX core_payment_key_ref ON "CORE"."CORE_PAYMENT_KEY" (payment_ref) WHERE payment_ref IS NOT NULL;
CREATE INDEX core_payment_key_replaces ON "CORE"."CORE_PAYMENT_KEY" (replaces_id) WHERE replaces_id IS NOT NULL;
CREATE INDEX core_payment_key_money ON "CORE"."CORE_PAYMENT_KEY" (source_lender, loan_external_id, amount)
WHERE rule <> 'provisional';
CREATE INDEX core_payment_key_batch ON "CORE"."CORE_PAYMENT_KEY" (batch);

-- Keys whose row of CORE is to be computed again though nothing new was observed: a loan mapped,
-- a model corrected. Asking again: ON CONFLICT (source_key) DO UPDATE SET batch = 0.
CREATE TABLE "CORE"."CORE_REFOLD" (
    source_key text PRIMARY KEY,
    batch      bigint NOT NULL DEFAULT 0, -- 0 = not yet done; the next dbt run sets its batch
    reason     text NOT NULL
);
CREATE INDEX core_refold_batch ON "CORE"."CORE_REFOLD" (batch);

-- Money that nothing tells apart, or that is over a limit, waits here for a person.
CREATE TABLE "CORE"."CORE_HOLD" (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_key  text NOT NULL,
    reason_code text NOT NULL,            -- possible_duplicate, over_limit, refunded, ledger_differs, …
    reason      text NOT NULL,
    facts       jsonb NOT NULL,           -- loan, amount, date: a release is good for these only
    held_at     timestamptz NOT NULL DEFAULT now(),
    decision    text CHECK (decision IN ('release', 'same_payment', 'not_a_repayment')),
    decided_by  text,
    decided_why text,
    decided_at  timestamptz
);
CREATE UNIQUE INDEX core_hold_open ON "CORE"."CORE_HOLD" (source_key, reason_code) WHERE decision IS NULL;
CREATE INDEX core_hold_key ON "CORE"."CORE_HOLD" (source_key);

-- An operator's word on which loan a payment without one belongs to.
CREATE TABLE "CORE"."CORE_LOAN_MAPPING" (
    payment_ref      text PRIMARY KEY,
    loan_external_id text NOT NULL,
    mapped_by        text NOT NULL,
    mapped_why       text NOT NULL,
    mapped_at        timestamptz NOT NULL DEFAULT now()
);

-- ── Posting ─────────────────────────────────────────────────────────────────────────────────
CREATE TABLE "CORE"."CORE_LENDER_SETTING" (
    source_lender     text PRIMARY KEY,
    paused            boolean NOT NULL DEFAULT false,
    paused_why        text,
    post_from         date,               -- payments before this day belong to the system before
    max_payment       numeric(19, 2),     -- rupees; a larger payment is held
    max_run_count     integer,            -- payments a run may post; the rest is deferred
    max_run_amount    numeric(19, 2),
    updated_by        text,
    updated_at        timestamptz NOT NULL DEFAULT now()
);

-- The one Fineract this database posts to; written by the first posting.
CREATE TABLE "CORE"."CORE_LEDGER_IDENTITY" (
    only_row   boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    base_url   text NOT NULL,
    tenant     text NOT NULL,
    first_used timestamptz NOT NULL DEFAULT now()
);

-- Every payment that is not settled. Fed from CORE batch by batch; a success leaves it.
CREATE TABLE "CORE"."CORE_OPEN_WORK" (
    source_key       text PRIMARY KEY,
    source_lender    text NOT NULL,
    loan_external_id text NOT NULL,
    payment_date     date NOT NULL,
    amount           numeric(19, 2) NOT NULL,
    payment_ref      text,
    recon_source     text,
    state            text NOT NULL CHECK (state IN (
        'waiting', 'deferred', 'held', 'sending', 'unknown', 'awaiting_approval', 'failed'
    )),
    reason           text NOT NULL,
    not_before       timestamptz,         -- back-off after transient trouble
    tries            integer NOT NULL DEFAULT 0,
    since            timestamptz NOT NULL DEFAULT now(),
    updated_at       timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 80);
CREATE INDEX core_open_work_queue ON "CORE"."CORE_OPEN_WORK" (source_lender, loan_external_id, payment_date, source_key);
CREATE INDEX core_open_work_state ON "CORE"."CORE_OPEN_WORK" (state);

-- How far CORE has been read into the list of open work.
CREATE TABLE "CORE"."CORE_WORK_FEED" (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    batch    bigint NOT NULL DEFAULT 0
);
INSERT INTO "CORE"."CORE_WORK_FEED" DEFAULT VALUES;

-- Every intent to post and what came of it. Rows are added, settled once, never removed.
CREATE TABLE "CORE"."CORE_POSTING_ATTEMPT" (
    id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_key       text NOT NULL,
    source_lender    text NOT NULL,
    loan_external_id text NOT NULL,
    payment_date     date NOT NULL,
    amount           numeric(19, 2) NOT NULL,
    payment_ref      text,
    idempotency_key  text NOT NULL UNIQUE CHECK (length(idempotency_key) <= 50),
    run_id           text NOT NULL,       -- the run that may write the result: the fence
    worker           integer NOT NULL,
    intended_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    outcome          text CHECK (outcome IN ('success', 'failed', 'not_applied', 'held')),
    settled_by       text CHECK (settled_by IN ('reply', 'lookup')),
    settled_at       timestamptz,
    http_status      integer,
    error_code       text,
    error_text       text,
    resource_id      bigint,
    CHECK ((outcome IS NULL) = (settled_at IS NULL))
);
-- Two runs, or two machines, cannot both have one payment or one loan in flight.
CREATE UNIQUE INDEX core_posting_attempt_open_key ON "CORE"."CORE_POSTING_ATTEMPT" (source_key) WHERE settled_at IS NULL;
CREATE UNIQUE INDEX core_posting_attempt_open_loan ON "CORE"."CORE_POSTING_ATTEMPT" (loan_external_id) WHERE settled_at IS NULL;
CREATE UNIQUE INDEX core_posting_attempt_open_ref ON "CORE"."CORE_POSTING_ATTEMPT" (payment_ref) WHERE settled_at IS NULL AND payment_ref IS NOT NULL;
CREATE UNIQUE INDEX core_posting_attempt_success ON "CORE"."CORE_POSTING_ATTEMPT" (source_key) WHERE outcome = 'success';
CREATE INDEX core_posting_attempt_key ON "CORE"."CORE_POSTING_ATTEMPT" (source_key);
CREATE INDEX core_posting_attempt_run ON "CORE"."CORE_POSTING_ATTEMPT" (run_id);

-- The outcome of each payment: the operators' table.
CREATE TABLE "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (
    source_key              text PRIMARY KEY,
    source_lender           text NOT NULL,
    status                  text NOT NULL CHECK (status IN ('success', 'failed')),
    loan_external_id        text NOT NULL,
    payment_date            date NOT NULL,
    amount                  numeric(19, 2) NOT NULL,
    payment_ref             text,
    recon_source            text,
    fineract_transaction_id bigint,
    error_code              text,
    error_text              text,
    attempts                integer NOT NULL DEFAULT 1,
    run_id                  text NOT NULL,
    processed_at            timestamptz NOT NULL DEFAULT clock_timestamp()
);
-- One payment of a provider is one repayment, whatever its keys.
CREATE UNIQUE INDEX core_processed_ref ON "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (payment_ref)
WHERE status = 'success' AND payment_ref IS NOT NULL;
CREATE INDEX core_processed_run ON "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (run_id);
CREATE INDEX core_processed_loan ON "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (loan_external_id);
CREATE INDEX core_processed_latest ON "CORE"."CORE_TRANSACTION_DATA_PROCESSED" (processed_at);

-- Something about a posted payment that a person must look at.
CREATE TABLE "CORE"."CORE_EXCEPTION" (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_key   text,
    kind         text NOT NULL,
    detail       jsonb NOT NULL,
    raised_at    timestamptz NOT NULL DEFAULT now(),
    closed_at    timestamptz,
    closed_by    text,
    closed_why   text
);
CREATE UNIQUE INDEX core_exception_open ON "CORE"."CORE_EXCEPTION" (source_key, kind) WHERE closed_at IS NULL;

-- ── Reconciliation and access ───────────────────────────────────────────────────────────────
CREATE TABLE "CORE"."CORE_RECON_REQUEST" (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source_keys   text[] NOT NULL,
    requested_by  text NOT NULL,
    requested_at  timestamptz NOT NULL DEFAULT now(),
    state         text NOT NULL DEFAULT 'requested',
    decided_by    text,
    decided_why   text,
    decided_at    timestamptz,
    attempt       integer NOT NULL DEFAULT 0,
    run_id        text,
    result        jsonb
);

CREATE TABLE "CORE"."CORE_USER" (
    name          text PRIMARY KEY,
    password_hash text NOT NULL,
    role          text NOT NULL CHECK (role IN ('viewer', 'operator', 'approver', 'admin')),
    active        boolean NOT NULL DEFAULT true,
    created_at    timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE "CORE"."CORE_AUDIT_LOG" (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT now(),
    who     text NOT NULL,
    action  text NOT NULL,
    subject text,
    detail  jsonb NOT NULL DEFAULT '{}'
);
