-- Each run asks of every payment that changed whether another was ruled the same.
CREATE INDEX core_hold_same_as ON "CORE"."CORE_HOLD" ((facts ->> 'other_key'))
WHERE decision = 'same_payment';

-- Of the moment and not of the start of its transaction: a hold is later than the rulings that it
-- was made after.
ALTER TABLE "CORE"."CORE_HOLD" ALTER held_at SET DEFAULT clock_timestamp();

-- Payments of which CORE now tells otherwise: with several references of one issuer, and those that
-- lost a row that was corrected more than once. The next run of dbt makes them anew.
INSERT INTO "CORE"."CORE_REFOLD" (source_key, reason)
SELECT source_key, 'upgrade' AS reason FROM "CORE"."CORE_PAYMENT_KEY"
WHERE rule <> 'provisional'
GROUP BY source_key, split_part(payment_ref, ':', 1) HAVING count(DISTINCT payment_ref) > 1
UNION
SELECT lost.source_key, 'upgrade' AS reason FROM "CORE"."CORE_PAYMENT_KEY" correction
INNER JOIN "CORE"."CORE_PAYMENT_KEY" lost
    ON lost.replaces_id = correction.replaces_id AND lost.raw_id < correction.raw_id
ON CONFLICT (source_key) DO UPDATE SET batch = 0;
