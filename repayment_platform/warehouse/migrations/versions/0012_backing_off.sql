-- Each page of due payments asks of each loan whether one of its payments backs off: few do.
CREATE INDEX core_open_work_backing_off ON "CORE"."CORE_OPEN_WORK" (loan_external_id, not_before)
WHERE not_before IS NOT NULL;
