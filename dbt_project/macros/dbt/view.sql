{#
    Views are replaced in place. dbt's own materialization drops the old view with everything
    built on it, so that for a moment CORE_OBSERVATION would be gone, and operators' views for
    good. Only a changed list of columns still needs that.
#}
{% materialization view, adapter='postgres' %}
    {%- set view = this.incorporate(type='view') -%}
    {{ run_hooks(pre_hooks) }}
    {% call statement('main') -%}
        DO $materialization$
        BEGIN
            CREATE OR REPLACE VIEW {{ view }} AS {{ sql }};
        EXCEPTION WHEN invalid_table_definition THEN
            DROP VIEW {{ view }} CASCADE;
            CREATE VIEW {{ view }} AS {{ sql }};
        END
        $materialization$
    {%- endcall %}
    {% do persist_docs(view, model) %}
    {{ run_hooks(post_hooks) }}
    {{ adapter.commit() }}
    {{ return({'relations': [view]}) }}
{% endmaterialization %}
