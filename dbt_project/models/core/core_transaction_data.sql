{#
    One row per payment: what all its observations say together. See core.yml for the columns.

    Only keys with something new since the last run are computed, from all their observations, so
    a run costs what is new. `since` is a literal: with it the planner knows how little that is.
#}
{%- set since = last_batch() -%}
-- depends_on: {{ ref('core_observation') }}, {{ ref('core_source') }}
WITH touched AS (
    SELECT source_key, max(batch) AS batch
    FROM (
        SELECT source_key, batch FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }}
        UNION ALL
        SELECT source_key, batch FROM {{ source('CORE', 'CORE_REFOLD') }}
        UNION ALL
        -- A payment that lost a row to another payment, by a correction that names the other.
        SELECT lost.source_key, correction.batch
        FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }} correction
        INNER JOIN {{ source('CORE', 'CORE_PAYMENT_KEY') }} lost ON lost.raw_id = correction.replaces_id
        UNION ALL
        -- Or that had got it by an earlier correction of the same row.
        SELECT lost.source_key, correction.batch
        FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }} correction
        INNER JOIN {{ source('CORE', 'CORE_PAYMENT_KEY') }} lost
            ON lost.replaces_id = correction.replaces_id AND lost.raw_id < correction.raw_id
    ) news
    WHERE batch > {{ since }}
    GROUP BY source_key
),

observed AS (
    SELECT
        k.source_key,
        k.rule,
        k.occurrence,
        touched.batch,
        {{ chain('k') }} AS chain,
        {{ is_replaced('k') }} AS is_replaced,
        coalesce(observation.loan_external_id, named.loan) AS loan,
        source.channel,
        observation.*
    FROM touched
    INNER JOIN {{ source('CORE', 'CORE_PAYMENT_KEY') }} k ON k.source_key = touched.source_key
    INNER JOIN LATERAL {{ observation_of('k') }} observation ON true
    INNER JOIN {{ ref('core_source') }} source ON source.raw_table = k.raw_table
    -- A person's word fills only what names no loan itself.
    LEFT JOIN LATERAL (
        SELECT min(mapping.loan_external_id) AS loan
        FROM {{ source('CORE', 'CORE_LOAN_MAPPING') }} mapping
        WHERE mapping.payment_ref IN (observation.payment_ref, observation.order_ref) OR mapping.raw_id = {{ chain('k') }}
    ) named ON true
    WHERE {{ is_current('k') }}
),

-- A correction stands where the row stood that it replaces. A withdrawn row takes back its own
-- report and nothing else: it says nothing while another report is left. When all rows of a payment
-- have been replaced by rows of other payments, the old ones are what is left to tell of it.
placed AS (
    SELECT
        *,
        min(landed_at) OVER (PARTITION BY source_key, chain) AS arrived_at,
        bool_and(is_replaced) OVER (PARTITION BY source_key) AS is_moved,
        bool_and(is_replaced OR outcome = 'withdrawn') OVER (PARTITION BY source_key) AS is_withdrawn,
        coalesce(
            max(rule) FILTER (WHERE occurrence IS NOT NULL) OVER (PARTITION BY source_key), 'provisional'
        ) AS key_rule,
        min(raw_id) OVER (PARTITION BY source_key) AS first_raw_id,
        max(raw_id) OVER (PARTITION BY source_key) AS last_raw_id,
        min(landed_at) OVER (PARTITION BY source_key) AS first_landed_at,
        max(landed_at) OVER (PARTITION BY source_key) AS last_landed_at
    FROM observed
),

-- What a bank or lender says of one payment has its course: by the days that it states, of presentation
-- where every row states one, then by arrival. What it says again in the same words is no news.
standing AS (
    SELECT
        *,
        ARRAY[
            CASE
                WHEN bool_and(presentation_date IS NOT NULL) OVER of_source
                    THEN presentation_date - date '2000-01-01'
                ELSE payment_date - date '2000-01-01'
            END, extract(EPOCH FROM min(arrived_at) OVER same_words), min(chain) OVER same_words
        ] AS course
    FROM placed
    WHERE is_moved OR NOT is_replaced AND (outcome <> 'withdrawn' OR is_withdrawn)
    WINDOW
        of_source AS (PARTITION BY source_key, raw_table),
        same_words AS (
            PARTITION BY source_key, raw_table, outcome, payment_date, presentation_date, amount, payment_ref, utr, umrn
        )
),

-- A bounce after the success of its source takes it back; one before it says nothing.
judged_in_time AS (
    SELECT
        standing.*,
        coalesce(
            {{ is_bounce('standing') }} AND channel IN ('NACH', 'PAYMENT')
            AND course > max(course) FILTER (WHERE is_success) OVER of_source, false
        ) AS takes_success_back,
        -- What was paid after a bounce has its own day, not that of the success that bounced.
        coalesce(
            is_success AND course < max(course) FILTER (
                WHERE {{ is_bounce('standing') }} AND channel IN ('NACH', 'PAYMENT')
            ) OVER of_source, false
        ) AS has_bounced,
        -- A refund that failed: what its source states later, of that refund or of the total, counts.
        outcome = 'refund' AND coalesce(
            refund_stated_at < max(refund_stated_at) FILTER (WHERE refunded_amount IS NOT NULL)
                OVER (PARTITION BY source_key, raw_table, refund_id), false
        ) AS is_overtaken,
        -- A dispute is open while its source states nothing later of it.
        outcome = 'disputed' AND coalesce(
            refund_stated_at = max(refund_stated_at) OVER (PARTITION BY source_key, raw_table, refund_id), true
        ) AS is_open_dispute
    FROM standing
    WINDOW of_source AS (PARTITION BY source_key, raw_table)
),

told AS (
    SELECT
        source_key, rule, occurrence, batch, chain, loan, channel, raw_id, raw_table, landed_at, source_lender,
        payment_date, presentation_date, day_exactness, amount, is_success, has_bounced, recon_source, payment_ref, order_ref, method, utr,
        umrn, loan_id_found_in, refunded_amount, refund_id, is_overtaken, is_open_dispute, arrived_at, is_moved, key_rule, first_raw_id,
        last_raw_id, first_landed_at, last_landed_at,
        {{ is_bounce('judged_in_time') }} AND channel = 'NACH' AS says_not_paid,
        CASE WHEN takes_success_back THEN 'late_return' ELSE outcome END AS outcome,
        CASE WHEN takes_success_back THEN 40 ELSE status_rank END AS status_rank,
        CASE
            WHEN takes_success_back
                THEN 'returned after it had been reported as paid: ' || coalesce(not_repayment_reason, outcome)
            ELSE not_repayment_reason
        END AS not_repayment_reason
    FROM judged_in_time
),

ranked AS (
    SELECT
        *,
        -- Far from every day that another report of the payment states.
        least(payment_date, presentation_date) - max(payment_date) OVER (
            PARTITION BY source_key, is_success ORDER BY least(payment_date, presentation_date), raw_id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS days_after_others,
        row_number() OVER arrival AS arrival,
        coalesce(payment_ref = order_ref, false) AS is_of_order,
        -- One refund is reported as pending and as done, or in two downloads: it counts once.
        refund_id IS NOT NULL AND row_number() OVER (
            PARTITION BY source_key, raw_table, refund_id
            ORDER BY is_overtaken ASC, refunded_amount DESC NULLS LAST, chain ASC
        ) = 1 AS is_first_of_refund,
        row_number() OVER (
            PARTITION BY source_key
            ORDER BY is_overtaken ASC, status_rank DESC, is_success DESC, arrived_at ASC, raw_table ASC, chain ASC
        ) AS best
    FROM told
    WINDOW arrival AS (PARTITION BY source_key ORDER BY arrived_at ASC, raw_table ASC, chain ASC)
),

-- A gateway's webhooks and its settlement report name one refund by different ids, so only the
-- refunds that one of them tells of add up.
added AS (
    SELECT
        *,
        sum(refunded_amount) FILTER (WHERE is_first_of_refund)
            OVER (PARTITION BY source_key, raw_table) AS refunded_by_source
    FROM ranked
),

folded AS (
    SELECT
        source_key,
        (array_agg(source_lender ORDER BY arrival))[1] AS source_lender,
        -- The facts are those of the payment, not those of its failure before or its return since.
        {{ first_known('loan', 'is_success DESC, arrival') }} AS loan,
        -- The day is that of the most exact report, whichever arrived first.
        {{ first_known('payment_date', 'is_success DESC, has_bounced, day_exactness DESC, payment_date') }}
            AS payment_date,
        min(least(payment_date, presentation_date)) FILTER (WHERE is_success) AS earliest_day,
        {{ first_known('amount', 'is_success DESC, best') }} AS amount,
        (array_agg(is_success ORDER BY best))[1] AND NOT bool_or(is_moved) AS is_success,
        bool_or(is_success) AND NOT bool_or(is_moved) AS was_success,
        (array_agg(recon_source ORDER BY arrival))[1] AS recon_source,
        {{ first_known('payment_ref', 'is_of_order, arrival') }} AS payment_ref,
        CASE WHEN bool_or(is_moved) THEN 'withdrawn' ELSE (array_agg(outcome ORDER BY best))[1] END AS outcome,
        CASE
            WHEN bool_or(is_moved) THEN 'its row was corrected and is of another payment'
            ELSE (array_agg(not_repayment_reason ORDER BY best))[1]
        END AS not_repayment_reason,
        -- A dispute is lost, or a debit taken back, beside what was refunded before, never above all.
        least(
            {{ first_known('amount', 'is_success DESC, best') }},
            greatest(
                coalesce(
                    max(refunded_amount) FILTER (
                        WHERE refund_id IS NULL AND outcome <> 'late_return' AND NOT is_overtaken
                    ), 0
                ),
                coalesce(max(refunded_by_source), 0)
            ) + coalesce(max(refunded_amount) FILTER (WHERE outcome = 'late_return'), 0)
        ) AS refunded_amount,
        {{ first_known('method', 'best') }} AS method,
        {{ first_known('utr', 'best') }} AS utr,
        {{ first_known('umrn', 'best') }} AS umrn,
        {{ first_known('loan_id_found_in', 'arrival') }} AS loan_id_found_in,
        max(key_rule) AS key_rule,
        count(*)::integer AS observations,
        array_agg(DISTINCT raw_table ORDER BY raw_table) AS sources,
        min(first_raw_id) AS first_raw_id,
        max(last_raw_id) AS last_raw_id,
        min(first_landed_at) AS first_landed_at,
        max(last_landed_at) AS last_landed_at,
        max(batch) AS batch,
        bool_or(is_open_dispute) AS is_disputed,
        CASE WHEN NOT bool_or(is_moved) AND {{ reports_differ() }} THEN {{ facts_of_reports() }} END AS conflict
    FROM added
    GROUP BY source_key
),

-- A person's word on a held payment; whoever gives it has the key folded again. The release of
-- what was given back is good for what was known of it then.
judged AS (
    SELECT
        folded.*,
        (
            SELECT 'an operator says: ' || replace(min(hold.decision), '_', ' ')
            FROM {{ source('CORE', 'CORE_HOLD') }} hold
            WHERE hold.source_key = folded.source_key AND hold.decision IN ('same_payment', 'not_a_repayment')
        ) AS verdict,
        was_success AND EXISTS (
            SELECT FROM {{ source('CORE', 'CORE_HOLD') }} hold
            WHERE
                hold.source_key = folded.source_key AND hold.decision IN ('release', 'post_rest')
                AND hold.facts @> jsonb_build_object('outcome', outcome, 'refunded', refunded_amount)
        ) AS is_released,
        outcome = 'refund' AND "CORE".posts_rest(source_key, refunded_amount) AS is_rest
    FROM folded
)

SELECT
    source_key,
    source_lender,
    -- A success under a provisional key has no loan, whatever BASE may read by now: only a
    -- proper key can be posted.
    CASE WHEN NOT (key_rule = 'provisional' AND was_success) THEN loan END AS loan_external_id,
    payment_date,
    -- What is to be posted of it: all that was paid, or what a person said is left of it.
    (amount - CASE WHEN is_rest THEN refunded_amount ELSE 0 END)::numeric(19, 2) AS amount,
    (is_success OR is_released) AND verdict IS NULL AS is_success,
    recon_source,
    payment_ref,
    outcome,
    coalesce(verdict, CASE WHEN NOT is_released THEN not_repayment_reason END) AS not_repayment_reason,
    {{ within_rupees('refunded_amount') }} AS refunded_amount,
    method,
    utr,
    umrn,
    loan_id_found_in,
    key_rule,
    observations,
    sources,
    first_raw_id,
    last_raw_id,
    first_landed_at,
    last_landed_at,
    batch,
    conflict,
    earliest_day,
    is_disputed
FROM judged
