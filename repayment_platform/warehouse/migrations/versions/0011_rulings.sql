-- Each run asks of every payment that changed whether another was ruled the same.
CREATE INDEX core_hold_same_as ON "CORE"."CORE_HOLD" ((facts ->> 'other_key'))
WHERE decision = 'same_payment';
