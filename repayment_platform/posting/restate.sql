-- Has each open payment wait as it should. Asked of each row by itself and not in a join, which is a bad one when
-- the list was empty at the time of its last statistics. One that is claimed meanwhile is left alone.
UPDATE "CORE"."CORE_OPEN_WORK" w
SET (state, reason) = ({{ verdict }}), updated_at = now()
WHERE
    w.state IN ('waiting', 'deferred', 'held', 'failed')
    AND EXISTS (SELECT FROM ({{ verdict }}) v WHERE (v.state, v.reason) IS DISTINCT FROM (w.state, w.reason))
