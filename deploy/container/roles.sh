#!/bin/sh
# The roles beside the owner, made once when the container's database is: see docs/deployment.md.
set -eu
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" \
    --set application="$APPLICATION_PASSWORD" --set reader="$READER_PASSWORD" <<'SQL'
CREATE ROLE repayment_application LOGIN PASSWORD :'application';
CREATE ROLE repayment_reader LOGIN PASSWORD :'reader';
SQL
