-- What the latest posting run that sent anything has found out of Fineract's pace; one row. Written
-- now and then during the run and at its end, for the metrics.
CREATE TABLE "CORE"."CORE_POSTING_PACE" (
    run_id          text NOT NULL,
    under_way       integer NOT NULL,     -- so many requests may be under way at once
    highest         integer NOT NULL,     -- the most in this run
    latency_seconds double precision,     -- median of the requests of late
    former          integer NOT NULL,     -- under_way before it changed last
    why             text,                 -- and why it changed; null when it never did
    changed_at      timestamptz,
    told_at         timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE UNIQUE INDEX core_posting_pace_one ON "CORE"."CORE_POSTING_PACE" ((true));
