-- The last build of the whole dbt project that succeeded; no row when there is none, or when dbt
-- has been started since for anything else.
CREATE TABLE "CORE"."CORE_DBT_BUILD" (
    project  text NOT NULL,        -- a digest of the models, macros and tests that it was built from
    batch    bigint NOT NULL,      -- the newest batch of payment keys at its end
    built_at timestamptz NOT NULL DEFAULT now()
);
CREATE UNIQUE INDEX core_dbt_build_one ON "CORE"."CORE_DBT_BUILD" ((true));
