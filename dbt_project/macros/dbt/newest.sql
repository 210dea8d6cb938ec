{#
    The last batch of a table, as a literal: the planner then knows how few rows that is, and reads
    them by the index. Of `(SELECT max(batch) …)` it takes an average, and may read all.
#}
{% macro newest_batch(relation) -%}
    {%- if execute -%}
        {{ return(run_query('SELECT coalesce(max(batch), 0) FROM ' ~ relation).columns[0].values()[0]) }}
    {%- endif -%}
    {{ return(0) }}
{%- endmacro %}

{# dbt's macro for the `where` of a data test, in which __newest__ stands for the last batch. #}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get('where') -%}
    {%- if where -%}
        {%- set rendered = where | replace('__newest__', newest_batch(relation) | string) -%}
        {{ return('(SELECT * FROM ' ~ relation ~ ' WHERE ' ~ rendered ~ ') tested') }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro %}
