-- One intent for each payment and each reference that is under way or was posted. An index on what
-- is under way alone lets an intent in whose statement began before a posting was recorded, and
-- came to the index after it: neither its snapshot nor the index then shows that posting.
DROP INDEX "CORE".core_posting_attempt_open_key;
DROP INDEX "CORE".core_posting_attempt_open_ref;
DROP INDEX "CORE".core_posting_attempt_success;
CREATE UNIQUE INDEX core_posting_attempt_one_key ON "CORE"."CORE_POSTING_ATTEMPT" (source_key)
WHERE settled_at IS NULL OR (outcome = 'success' AND undone_at IS NULL);
CREATE UNIQUE INDEX core_posting_attempt_one_ref ON "CORE"."CORE_POSTING_ATTEMPT" (payment_ref)
WHERE payment_ref IS NOT NULL AND (settled_at IS NULL OR (outcome = 'success' AND undone_at IS NULL));
