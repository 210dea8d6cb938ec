-- Which exceptions the facts call for, of the payments in `asked`: one SELECT for each kind, of its
-- source_key, kind, whether it holds, the facts that the judgement depends on, words and detail.
--
-- What belongs here: the facts alone. Whether a person has judged them already stands in compare.sql.
WITH payment AS MATERIALIZED (
    SELECT
        t.source_key,
        t.source_lender,
        t.loan_external_id,
        t.payment_date,
        t.amount,
        t.is_success,
        t.payment_ref,
        t.outcome,
        t.not_repayment_reason,
        t.refunded_amount,
        t.key_rule,
        t.conflict,
        t.is_disputed,
        t.loan_id_found_in,
        coalesce(p.status = 'success', false) AS is_posted,
        coalesce(p.status = 'undone', false) AS is_undone,
        t.is_success AND "CORE".is_as_posted(
            p.loan_external_id, p.amount, coalesce(p.paid_on, p.payment_date),
            t.loan_external_id, t.amount, t.payment_date, t.earliest_day, t.payment_ref
        ) AS is_as_posted,
        w.state,
        coalesce(w.tries, 0) AS tries,
        coalesce(w.state IN ('sending', 'unknown', 'awaiting_approval'), false) AS is_in_flight,
        t.is_success AND t.loan_external_id IS NOT NULL AND t.amount > 0 AS is_eligible,
        -- Null where nothing was ever asked of it. The plan makes an aggregate of the key's index alone.
        (
            SELECT bool_or(coalesce(e.decision IN ('same_payment', 'not_a_repayment'), false))
            FROM "CORE"."CORE_EXCEPTION" e WHERE e.source_key = t.source_key
        ) AS is_ruled_out,
        jsonb_build_object('loan', t.loan_external_id, 'amount', t.amount, 'date', t.payment_date) AS facts
    FROM asked
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = asked.source_key
    LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p ON p.source_key = t.source_key AND p.status <> 'failed'
    LEFT JOIN "CORE"."CORE_OPEN_WORK" w ON w.source_key = t.source_key
),

-- Money that was given back of a payment that a person ruled the same as another was given back of the
-- other, whatever CORE says of that one; not clear of which where the other is no repayment either.
twin AS MATERIALIZED (
    SELECT
        x.source_key,
        other.source_key AS of_key,
        format('the same payment %s had a %s', x.source_key, replace(x.outcome, '_', ' ')) AS why,
        coalesce(p.status = 'success', false) AS is_posted,
        coalesce(p.status = 'undone', false) AS is_undone,
        p.source_key IS NULL AND (other.source_key IS NULL OR EXISTS (
            SELECT FROM "CORE"."CORE_EXCEPTION" e
            WHERE e.source_key = other.source_key AND e.decision IN ('same_payment', 'not_a_repayment')
        )) AS is_unclear
    FROM payment x
    CROSS JOIN
        LATERAL (
            SELECT max(e.facts ->> 'other_key') AS source_key
            FROM "CORE"."CORE_EXCEPTION" e
            WHERE e.source_key = x.source_key
            HAVING bool_or(e.decision = 'same_payment')
        ) other
    LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p ON p.source_key = other.source_key AND p.status <> 'failed'
    WHERE x.is_ruled_out AND NOT x.is_posted AND x.outcome IN ('refund', 'late_return')
),

-- ── Before it is posted ─────────────────────────────────────────────────────────────────────
-- What no run sends, or what a twin says was given back: no run finds it in Fineract, where it may stand
-- since before a restore of this database. What Fineract said of it; null until it is asked.
unsent AS MATERIALIZED (
    SELECT
        t.source_key,
        said.answer,
        said.words,
        -- What was asked before a restore stays a question.
        CASE
            WHEN said.answer IS null
                THEN EXISTS (
                    SELECT FROM "CORE"."CORE_EXCEPTION" e
                    WHERE e.source_key = t.source_key AND e.closed_at IS null AND e.kind IN ('refunded', 'late_return')
                )
            ELSE said.answer <> 'differs'
        END AS is_answered,
        jsonb_build_object('loan', t.loan_external_id, 'amount', t.amount, 'date', t.payment_date) AS facts,
        jsonb_build_object('asked_at', said.asked_at) AS when_asked
    FROM (
        SELECT source_key FROM payment
        WHERE NOT is_posted AND NOT is_in_flight AND NOT is_success AND key_rule <> 'provisional'
        UNION
        SELECT of_key AS source_key FROM twin WHERE NOT is_posted
    ) one
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = one.source_key
    LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p ON p.source_key = t.source_key
    LEFT JOIN "CORE"."CORE_LEDGER_ANSWER" said
        ON
            said.source_key = t.source_key AND said.external_id = coalesce(p.external_id, t.source_key)
            AND said.incarnation = (SELECT "CORE".incarnation())
    WHERE t.loan_external_id IS NOT null AND coalesce(p.status, 'failed') = 'failed'
),

asked_first AS (
    SELECT
        source_key,
        'asked_first' AS kind,
        true AS holds,
        facts,
        'no run sends it, so Fineract is asked first whether it was posted before' AS words,
        '{}'::jsonb AS detail
    FROM unsent
    WHERE answer IS null
),

refunded_or_returned AS (
    SELECT DISTINCT ON (t.source_key)
        t.source_key,
        CASE told.outcome WHEN 'refund' THEN 'refunded' ELSE 'late_return' END AS kind,
        true AS holds,
        jsonb_build_object(
            'loan', t.loan_external_id, 'amount', t.amount + left_out.rupees, 'date', t.payment_date,
            'outcome', told.outcome, 'told_by', told.source_key, 'refunded', told.refunded_amount
        ) AS facts,
        CASE told.outcome
            WHEN 'refund'
                THEN
                    format('%s of %s rupees were refunded', told.refunded_amount, told.amount + left_out.rupees)
                    || coalesce(': ' || teller.why, '')
            ELSE coalesce(teller.why, told.not_repayment_reason, told.outcome)
        END AS words,
        '{}'::jsonb AS detail
    FROM (
        SELECT source_key AS of_key, source_key AS told_by, null AS why
        FROM payment
        WHERE
            NOT is_posted AND NOT is_undone AND NOT is_in_flight AND is_ruled_out IS NOT true
            AND outcome IN ('refund', 'late_return') AND key_rule <> 'provisional'
        UNION ALL
        SELECT of_key, source_key AS told_by, why FROM twin WHERE NOT is_posted AND NOT is_undone AND NOT is_unclear
    ) teller
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = teller.of_key
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" told ON told.source_key = teller.told_by
    -- CORE has what a person said is left of it; the question is about all that was paid.
    CROSS JOIN
        LATERAL (
            SELECT
                CASE
                    WHEN t.outcome = 'refund' AND "CORE".posts_rest(t.source_key, t.refunded_amount) THEN t.refunded_amount
                    ELSE 0
                END AS rupees
        ) left_out
    WHERE NOT EXISTS (SELECT FROM unsent u WHERE u.source_key = t.source_key AND NOT u.is_answered)
    ORDER BY t.source_key ASC, teller.why ASC NULLS FIRST
),

-- Reports that cannot all be of one payment, of what is posted too: nothing else would tell of the other.
conflicting_reports AS (
    SELECT
        t.source_key,
        'conflicting_reports' AS kind,
        NOT t.is_posted AS holds,
        t.facts || jsonb_build_object('conflict', t.conflict) AS facts,
        format('%s was reported with different facts: %s; ', coalesce(t.payment_ref, 'one payment'), t.conflict)
        || CASE
            WHEN t.is_posted
                THEN format('posted were %s rupees of %s for loan %s', p.amount, p.payment_date, p.loan_external_id)
            ELSE
                format(
                    'a release posts %s rupees of %s for loan %s', t.amount, t.payment_date,
                    coalesce(t.loan_external_id, 'unknown')
                )
        END AS words,
        CASE
            WHEN t.is_posted
                THEN jsonb_build_object(
                    'lender', p.source_lender, 'loan', p.loan_external_id, 'amount', p.amount,
                    'date', p.payment_date
                )
            ELSE '{}'
        END AS detail
    FROM payment t
    LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p ON p.source_key = t.source_key AND p.status = 'success'
    WHERE t.conflict IS NOT NULL AND t.key_rule <> 'provisional' AND NOT t.is_in_flight
),

-- A person corrected its loan, which no report names: the next run of dbt takes that up.
loan_corrected AS (
    SELECT
        t.source_key,
        'loan_corrected' AS kind,
        true AS holds,
        t.facts || jsonb_build_object('named', named.loan) AS facts,
        format('a person says that it is of loan %s, not %s: the next run takes that up', named.loan, t.loan_external_id) AS words,
        '{}'::jsonb AS detail
    FROM payment t
    CROSS JOIN
        LATERAL (
            SELECT min(m.loan_external_id) AS loan
            FROM "CORE"."CORE_PAYMENT_KEY" k
            INNER JOIN "CORE"."CORE_LOAN_MAPPING" m
                ON
                    m.payment_ref = k.payment_ref OR m.payment_ref = k.order_ref
                    OR m.raw_id = coalesce(k.replaces_id, k.raw_id)
            WHERE k.source_key = t.source_key AND k.rule <> 'provisional' AND k.loan_external_id <> m.loan_external_id
        ) named
    WHERE t.loan_id_found_in IS null AND named.loan IS NOT null AND NOT t.is_posted AND NOT t.is_in_flight
),

-- Whether the money stays is decided at the gateway: lost, it is a return.
disputed AS (
    SELECT
        t.source_key,
        'disputed' AS kind,
        NOT t.is_posted AS holds,
        t.facts || jsonb_build_object('lender', t.source_lender, 'payment_ref', t.payment_ref) AS facts,
        format(
            '%s of %s rupees on %s for loan %s: a dispute is open at the gateway', coalesce(t.payment_ref, 'a payment'),
            t.amount, t.payment_date, t.loan_external_id
        ) AS words,
        CASE WHEN t.is_posted THEN t.facts || jsonb_build_object('lender', t.source_lender) ELSE '{}' END AS detail
    FROM payment t
    -- Of a refund: what is left of it is to be posted.
    WHERE t.is_disputed AND t.outcome IN ('success', 'refund') AND t.is_eligible AND NOT t.is_in_flight
),

over_limit AS (
    SELECT
        t.source_key,
        'over_limit' AS kind,
        true AS holds,
        t.facts,
        format('%s rupees is over the limit of %s for one payment', t.amount, s.max_payment) AS words,
        '{}'::jsonb AS detail
    FROM payment t
    INNER JOIN "CORE"."CORE_LENDER_SETTING" s ON s.source_lender = t.source_lender
    WHERE t.is_eligible AND NOT t.is_posted AND NOT t.is_in_flight AND t.amount > s.max_payment
),

-- What bears one reference that a payment system issued is one repayment, whatever its keys.
posted_elsewhere AS (
    SELECT
        t.source_key,
        'posted_elsewhere' AS kind,
        true AS holds,
        t.facts || jsonb_build_object('posted', p.source_key) AS facts,
        format('payment %s was posted under the key %s', t.payment_ref, p.source_key) AS words,
        '{}'::jsonb AS detail
    FROM payment t
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
        ON
            p.payment_ref = t.payment_ref AND p.status = 'success' AND p.source_key <> t.source_key
            AND "CORE".is_issued(p.payment_ref)
    WHERE t.is_eligible AND NOT t.is_posted AND NOT t.is_in_flight
),

-- A look-up that settled a doubt found another. (Of ours that was undone, its outcome tells.)
ledger_has_otherwise AS (
    SELECT
        t.source_key,
        a.error_code AS kind,
        true AS holds,
        t.facts || jsonb_build_object('attempt', a.id) AS facts,
        a.error_text AS words,
        '{}'::jsonb AS detail
    FROM payment t
    CROSS JOIN
        LATERAL (
            SELECT * FROM "CORE"."CORE_POSTING_ATTEMPT"
            WHERE source_key = t.source_key ORDER BY id DESC LIMIT 1
        ) a
    WHERE
        NOT t.is_posted AND NOT t.is_in_flight AND (t.tries > 0 OR t.is_ruled_out IS NOT null)
        AND a.outcome = 'held' AND a.undone_at IS null
),

-- It was posted and is reversed in the ledger. Money that was given back in whole is in order so, unless the
-- repayment was changed and not undone: then it is there all the same.
undone AS (
    SELECT
        t.source_key,
        'reversed_in_ledger' AS kind,
        t.is_eligible AS holds,
        t.facts || jsonb_strip_nulls(jsonb_build_object(
            'external_id', coalesce(p.external_id, p.source_key), 'fineract_transaction_id', p.fineract_transaction_id,
            'what', p.error_text, 'refunded', CASE WHEN part.is_left THEN t.refunded_amount END
        )) AS facts,
        p.error_text
        || CASE WHEN part.is_left THEN format('; %s of %s rupees were refunded', t.refunded_amount, t.amount) ELSE '' END
            AS words,
        jsonb_strip_nulls(jsonb_build_object(
            'lender', p.source_lender, 'loan', p.loan_external_id, 'amount', p.amount, 'date', p.payment_date,
            'external_id', p.external_id, 'fineract_transaction_id', p.fineract_transaction_id
        )) AS detail
    FROM payment t
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p ON p.source_key = t.source_key AND p.status = 'undone'
    CROSS JOIN
        LATERAL (
            SELECT NOT t.is_success AND t.outcome = 'refund' AND t.refunded_amount < t.amount AS is_left
        ) part
    WHERE t.is_eligible OR part.is_left OR p.error_text <> {{ undone }}::text
),

-- The same of what no run sends.
found_otherwise AS (
    SELECT
        u.source_key,
        'ledger_differs' AS kind,
        true AS holds,
        u.facts || u.when_asked AS facts,
        u.words,
        '{}'::jsonb AS detail
    FROM unsent u
    WHERE
        u.answer = 'differs'
        AND NOT EXISTS (SELECT FROM ledger_has_otherwise a WHERE a.source_key = u.source_key AND a.kind = 'ledger_differs')
),

-- What was judged to be implausible (implausible.sql) is so as long as its facts stay.
implausible AS (
    SELECT e.source_key, e.kind, true AS holds, e.facts, e.words, e.detail
    FROM payment t
    INNER JOIN "CORE"."CORE_EXCEPTION" e
        ON
            e.source_key = t.source_key AND e.closed_at IS null AND e.kind IN ('implausible_day', 'implausible_amount')
            AND e.facts = t.facts
    WHERE t.is_ruled_out IS NOT null AND t.is_success AND NOT t.is_posted
),

-- What a person held, or the keys were in doubt about, and a person released as it was then, or had
-- posted again. Whoever says so opens it; that its payment is another now is asked here.
released_as_it_was AS (
    SELECT e.source_key, e.kind, true AS holds, e.facts || t.facts AS facts, e.words, e.detail
    FROM payment t
    CROSS JOIN
        LATERAL (
            SELECT DISTINCT ON (kind) * FROM "CORE"."CORE_EXCEPTION"
            WHERE source_key = t.source_key AND holds AND (kind = 'reversed_in_ledger' OR kind <> all({{ computed }}::text[]))
            ORDER BY kind ASC, id DESC
        ) e
    WHERE
        t.is_ruled_out IS NOT null AND t.is_eligible AND NOT t.is_posted AND NOT t.is_in_flight
        AND CASE e.kind WHEN 'reversed_in_ledger' THEN e.decision = 'repost' AND NOT t.is_undone ELSE e.decision = 'release' END
),

-- "Same payment" and "not a repayment" are said of the money of that day. What was ruled out with another
-- loan, amount or date, or when its money was given back or its reports contradicted each other, which
-- is not so any more.
ruled_out_before AS (
    SELECT
        t.source_key,
        'ruled_out_before' AS kind,
        true AS holds,
        t.facts,
        format(
            'a person ruled it out as it was; now it is %s rupees of %s for loan %s', t.amount, t.payment_date,
            t.loan_external_id
        ) AS words,
        '{}'::jsonb AS detail
    FROM payment t
    WHERE
        t.is_ruled_out AND NOT t.is_posted AND NOT t.is_success AND t.outcome = 'success'
        AND t.key_rule <> 'provisional' AND t.loan_external_id IS NOT null
        AND NOT EXISTS (
            SELECT FROM "CORE"."CORE_EXCEPTION" e
            WHERE
                e.source_key = t.source_key AND e.decision IN ('same_payment', 'not_a_repayment')
                AND e.facts @> t.facts AND NOT e.facts ? 'refunded'
                AND (NOT e.facts ? 'conflict' OR t.conflict IS NOT null)
        )
),

-- Ruled the same as one that is no repayment any more, or one of another loan or amount.
other_is_gone AS (
    SELECT DISTINCT ON (x.source_key)
        x.source_key,
        'other_is_gone' AS kind,
        true AS holds,
        x.facts || jsonb_build_object('other_is', jsonb_build_object(
            'key', y.source_key, 'loan', y.loan_external_id, 'amount', y.amount, 'date', y.payment_date
        )) AS facts,
        format(
            'a person ruled it the same as payment %s, which now is %s%s', y.source_key,
            CASE
                WHEN y.is_success
                    THEN format('%s rupees of %s for loan %s', y.amount, y.payment_date, y.loan_external_id)
                ELSE coalesce(y.not_repayment_reason, y.outcome)
            END,
            CASE WHEN p.source_key IS NOT null THEN ' and is to be undone in Fineract first' END
        ) AS words,
        '{}'::jsonb AS detail
    FROM payment x
    INNER JOIN "CORE"."CORE_EXCEPTION" ruling
        ON ruling.source_key = x.source_key AND ruling.decision = 'same_payment' AND ruling.facts ? 'other_key'
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA" y ON y.source_key = ruling.facts ->> 'other_key'
    LEFT JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p ON p.source_key = y.source_key AND p.status = 'success'
    WHERE
        x.is_ruled_out AND NOT x.is_posted AND y.outcome NOT IN ('refund', 'late_return')
        AND (
            NOT y.is_success
            OR (y.loan_external_id, y.amount) IS DISTINCT FROM (ruling.facts ->> 'loan', (ruling.facts ->> 'amount')::numeric)
        )
    ORDER BY x.source_key ASC, ruling.id DESC
),

-- ── While it is posted ──────────────────────────────────────────────────────────────────────
-- What Fineract refused, where no retry mends it. It holds nothing: a run asks before it sends again.
refused AS (
    SELECT
        t.source_key,
        'refused' AS kind,
        false AS holds,
        t.facts || jsonb_strip_nulls(jsonb_build_object(
            'code', p.error_code, 'refused_on', CASE WHEN p.paid_on IS NOT null THEN p.payment_date END
        )) AS facts,
        'Fineract refused it: ' || coalesce(p.error_text, p.error_code) AS words,
        t.facts || jsonb_build_object('lender', t.source_lender, 'code', p.error_code) AS detail
    FROM payment t
    INNER JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p
        ON
            p.source_key = t.source_key AND p.status = 'failed' AND p.run_id <> 'repost'
            AND (p.loan_external_id, p.amount, coalesce(p.paid_on, p.payment_date))
            = (t.loan_external_id, t.amount, t.payment_date)
    WHERE
        t.tries > 0 AND t.is_eligible AND NOT t.is_posted AND NOT t.is_in_flight
        AND p.error_code LIKE any({{ no_retry_mends }}::text[])
),

awaiting_approval AS (
    SELECT
        t.source_key,
        'awaiting_approval' AS kind,
        false AS holds,
        t.facts,
        'Fineract put it into its maker-checker queue: there it is approved or rejected' AS words,
        t.facts || jsonb_build_object('lender', t.source_lender) AS detail
    FROM payment t
    WHERE t.state = 'awaiting_approval'
),

-- A look-up settles a doubt within a run, as long as Fineract answers.
in_doubt AS (
    SELECT
        t.source_key,
        'in_doubt' AS kind,
        false AS holds,
        t.facts,
        format('what came of the request of %s is not known yet', to_char(a.since, 'YYYY-MM-DD HH24:MI TZ')) AS words,
        t.facts || jsonb_build_object('lender', t.source_lender) AS detail
    FROM payment t
    INNER JOIN LATERAL (
        SELECT min(intended_at) AS since FROM "CORE"."CORE_POSTING_ATTEMPT"
        WHERE source_key = t.source_key AND settled_at IS null
    ) a ON true
    WHERE t.state IN ('sending', 'unknown') AND a.since < now() - interval '2 hours'
),

-- ── After it was posted ─────────────────────────────────────────────────────────────────────
-- CORE has it otherwise than it was posted, under its own key or a twin's. The detail names the repayment
-- to undo as Fineract has it, with its external id where that is not the key.
after_posting AS (
    SELECT DISTINCT ON (source_key, kind)
        source_key, kind, false AS holds, detail - 'what' AS facts, detail ->> 'what' AS words, detail
    FROM (
        SELECT
            p.source_key,
            teller.why,
            CASE
                WHEN t.is_success THEN 'changed'
                WHEN t.outcome = 'refund' THEN 'refunded'
                WHEN t.outcome = 'late_return' THEN 'returned'
                ELSE 'withdrawn'
            END || '_after_posting' AS kind,
            jsonb_build_object(
                'what', format(
                    'repayment %s of loan %s, %s rupees of %s, %s',
                    coalesce(p.fineract_transaction_id::text, p.external_id, p.source_key), p.loan_external_id,
                    p.amount, p.payment_date,
                    CASE
                        WHEN t.is_success
                            THEN format(
                                'is now %s rupees of %s on loan %s', t.amount, t.payment_date,
                                coalesce(t.loan_external_id, 'unknown')
                            )
                        WHEN t.outcome = 'refund' AND t.refunded_amount < t.amount
                            THEN format('had %s rupees refunded', t.refunded_amount)
                        ELSE 'is to be undone: ' || coalesce(teller.why, t.not_repayment_reason, t.outcome)
                    END
                ),
                'fineract_transaction_id', p.fineract_transaction_id,
                'lender', p.source_lender,
                'loan', p.loan_external_id,
                'amount', p.amount,
                'date', p.payment_date,
                'refunded', CASE WHEN t.outcome = 'late_return' AND t.refunded_amount = 0 THEN t.amount ELSE t.refunded_amount END,
                'now', jsonb_build_object(
                    'loan', t.loan_external_id, 'amount', t.amount, 'date', t.payment_date,
                    'is_repayment', t.is_success
                ),
                'why', coalesce(teller.why, t.not_repayment_reason)
            ) || jsonb_strip_nulls(jsonb_build_object(
                'external_id', p.external_id, 'told_by', nullif(t.source_key, p.source_key)
            )) AS detail
        FROM (
            SELECT source_key AS of_key, source_key AS told_by, null AS why
            FROM payment WHERE is_posted AND NOT is_as_posted
            UNION ALL
            SELECT of_key, source_key AS told_by, why FROM twin WHERE is_posted
        ) teller
        INNER JOIN "CORE"."CORE_TRANSACTION_DATA_PROCESSED" p ON p.source_key = teller.of_key AND p.status = 'success'
        INNER JOIN "CORE"."CORE_TRANSACTION_DATA" t ON t.source_key = teller.told_by
    ) each_told
    ORDER BY source_key ASC, kind ASC, why ASC NULLS FIRST
),

-- ── What makes no payment ───────────────────────────────────────────────────────────────────
-- Money that was given back of a payment that is not to be found (with no reference, or one that no
-- payment of its loan bears), or in part of one that only the refund tells of; or of one that a person
-- ruled the same as another, and that one is no repayment either.
return_without_payment AS (
    SELECT
        r.source_key,
        'return_without_payment' AS kind,
        false AS holds,
        r.facts || jsonb_build_object(
            'lender', r.source_lender, 'refunded', r.refunded_amount, 'payment_ref', r.payment_ref,
            'why', r.not_repayment_reason
        ) AS facts,
        format(
            '%s of %s rupees on %s for loan %s: of which payment is not clear%s', replace(r.outcome, '_', ' '),
            r.amount, r.payment_date, coalesce(r.loan_external_id, 'unknown'), '; ' || k.because
        ) AS words,
        r.facts || jsonb_build_object(
            'lender', r.source_lender, 'refunded', r.refunded_amount, 'payment_ref', r.payment_ref,
            'why', r.not_repayment_reason
        ) AS detail
    FROM payment r
    LEFT JOIN LATERAL (
        SELECT min(because) AS because FROM "CORE"."CORE_PAYMENT_KEY"
        WHERE source_key = r.source_key AND rule = 'provisional'
    ) k ON true
    WHERE
        r.key_rule = 'provisional' AND (
            r.outcome IN ('refund', 'late_return') AND (
                r.payment_ref IS null OR r.loan_external_id IS NOT null
                OR r.outcome = 'refund' AND r.refunded_amount < r.amount
            )
            OR r.outcome IN ('return', 'reject', 'failed') AND k.because IS NOT null
        )
        OR r.source_key IN (SELECT source_key FROM twin WHERE is_unclear)
),

-- Money that came, and of no loan that is known: no report names one, or one names several.
loan_unknown AS (
    SELECT
        r.source_key,
        'loan_unknown' AS kind,
        false AS holds,
        r.facts || jsonb_build_object('lender', r.source_lender, 'payment_ref', r.payment_ref) AS facts,
        format(
            '%s of %s rupees on %s names no loan', coalesce(r.payment_ref, 'a payment'), r.amount, r.payment_date
        ) AS words,
        r.facts || jsonb_build_object('lender', r.source_lender, 'payment_ref', r.payment_ref) AS detail
    FROM payment r
    WHERE r.is_success AND r.loan_external_id IS null AND NOT r.is_posted
),

-- Successes that no run will post: those that cannot be read, were paid in another currency, or stand in
-- an event that is not known. A mandate's authorisation or registration (amount 0) is none.
success_without_repayment AS (
    SELECT
        r.source_key,
        made.kind,
        false AS holds,
        r.facts || jsonb_build_object('lender', r.source_lender, 'payment_ref', r.payment_ref) AS facts,
        format('%s (%s): %s', coalesce(r.payment_ref, 'a payment'), r.source_lender, made.what) AS words,
        r.facts || jsonb_build_object('lender', r.source_lender, 'payment_ref', r.payment_ref) AS detail
    FROM payment r
    CROSS JOIN
        LATERAL (
            SELECT 'unreadable_payment' AS kind, r.not_repayment_reason AS what
            WHERE
                r.key_rule = 'provisional' AND r.outcome = 'success'
                AND r.not_repayment_reason LIKE '% is missing or unreadable'
            UNION ALL
            SELECT
                'no_repayment' AS kind,
                CASE r.outcome
                    WHEN 'success'
                        THEN format(
                            '%s: %s %s is not posted as rupees', r.not_repayment_reason,
                            coalesce(r.amount::text, 'an unreadable amount of'),
                            substr(r.not_repayment_reason, length('paid in ') + 1)
                        )
                    ELSE
                        format(
                            'a success of %s rupees is not posted: %s',
                            coalesce(r.amount::text, 'an unreadable amount of'), r.not_repayment_reason
                        )
                END AS what
            WHERE
                NOT r.is_success AND r.amount IS DISTINCT FROM 0
                AND (r.outcome = 'unknown_event' OR r.outcome = 'success' AND r.not_repayment_reason LIKE 'paid in %')
        ) made
    WHERE NOT r.is_posted
)

SELECT * FROM asked_first
UNION ALL
SELECT * FROM refunded_or_returned
UNION ALL
SELECT * FROM conflicting_reports
UNION ALL
SELECT * FROM loan_corrected
UNION ALL
SELECT * FROM disputed
UNION ALL
SELECT * FROM over_limit
UNION ALL
SELECT * FROM posted_elsewhere
UNION ALL
SELECT * FROM ledger_has_otherwise
UNION ALL
SELECT * FROM undone
UNION ALL
SELECT * FROM found_otherwise
UNION ALL
SELECT * FROM implausible
UNION ALL
SELECT * FROM released_as_it_was
UNION ALL
SELECT * FROM ruled_out_before
UNION ALL
SELECT * FROM other_is_gone
UNION ALL
SELECT * FROM refused
UNION ALL
SELECT * FROM awaiting_approval
UNION ALL
SELECT * FROM in_doubt
UNION ALL
SELECT * FROM after_posting
UNION ALL
SELECT * FROM return_without_payment
UNION ALL
SELECT * FROM loan_unknown
UNION ALL
SELECT * FROM success_without_repayment
