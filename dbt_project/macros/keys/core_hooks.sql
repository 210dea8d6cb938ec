{# The newest batch that CORE holds; 0 makes the model compute every key. #}
{% macro last_batch() -%}
    {{ return(newest_batch(this) if is_incremental() and not flags.FULL_REFRESH else 0) }}
{%- endmacro %}

{# The first value that is not null, in the given order, of the rows of one payment. #}
{% macro first_known(column, order) -%}
    (array_agg({{ column }} ORDER BY {{ order }}) FILTER (WHERE {{ column }} IS NOT NULL))[1]
{%- endmacro %}

{#
    Removes the rows of provisional keys whose observations have a proper key by now. With
    --full-refresh all rows go: the table itself stays, because dropping it would drop the views
    that operators have built on it.
#}
{% macro delete_displaced_rows() -%}
    {%- if is_incremental() and flags.FULL_REFRESH -%}
        DELETE FROM {{ this }}
    {%- elif is_incremental() -%}
        DELETE FROM {{ this }}
        WHERE source_key IN (
            SELECT provisional.source_key
            FROM {{ source('CORE', 'CORE_PAYMENT_KEY') }} proper
            INNER JOIN {{ source('CORE', 'CORE_PAYMENT_KEY') }} provisional
                ON provisional.raw_id = proper.raw_id AND provisional.rule = 'provisional'
            WHERE proper.rule <> 'provisional'
                AND proper.batch > {{ last_batch() }}
        )
    {%- endif -%}
{%- endmacro %}

{#
    Removes the records of payments that were folded anew because their lender is posted automatically
    now, but for those that are posted.
#}
{% macro delete_moved_rows() -%}
    {%- if is_incremental() -%}
        DELETE FROM {{ this }}
        WHERE source_key IN (
            SELECT payment.source_key
            FROM {{ source('CORE', 'CORE_REFOLD') }} refold
            INNER JOIN {{ ref('core_transaction_data') }} payment ON payment.source_key = refold.source_key
            WHERE refold.batch > {{ last_batch() }} AND payment.recon_source IS NULL
                AND NOT EXISTS (
                    SELECT FROM {{ source('CORE', 'CORE_TRANSACTION_DATA_PROCESSED') }} posted
                    WHERE posted.source_key = payment.source_key AND posted.status = 'success'
                )
        )
    {%- endif -%}
{%- endmacro %}
