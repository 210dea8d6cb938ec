"""Errors of Fineract that its source documents: status, general code, code of the error.

What belongs here: which answers there are. What does not: what they prove (the tests).
"""

from repayment_platform_tests.fineract.values import DOMAIN_RULE, NOT_FOUND, VALIDATION

TRANSACTION = "validation.msg.loan.transaction"

ROW_FAULTS = [
    (404, NOT_FOUND, "error.msg.loan.external.id.invalid"),
    (404, NOT_FOUND, "error.msg.payment.type.invalid"),
    (400, VALIDATION, f"{TRANSACTION}.transactionDate.cannot.be.blank"),
    (400, VALIDATION, f"{TRANSACTION}.transactionAmount.cannot.be.blank"),
    (400, VALIDATION, f"{TRANSACTION}.transactionAmount.not.greater.than.zero"),
    (400, VALIDATION, "validation.msg.invalid.dateFormat.format"),
    (400, VALIDATION, "validation.msg.invalid.decimal.format"),
    (400, VALIDATION, f"{TRANSACTION}.note.exceeds.max.length"),
    (400, VALIDATION, "error.msg.loan.must.be.active.fully.paid.or.overpaid"),
    (403, DOMAIN_RULE, "error.msg.loan.transaction.cannot.be.before.disbursement.date"),
    (
        403,
        DOMAIN_RULE,
        "error.msg.loan.repayment.or.waiver.cannot.be.made.before.last.transaction.date",
    ),
    (403, DOMAIN_RULE, "error.msg.loan.application.repayment.date.on.holiday"),
    (403, DOMAIN_RULE, "error.msg.loan.application.repayment.date.on.non.working.day"),
    (403, DOMAIN_RULE, "error.msg.client.not.active.exception"),
    (403, DOMAIN_RULE, "error.msg.group.not.active.exception"),
]

UNLISTED = [
    (404, NOT_FOUND, "error.msg.some.other.invalid"),
    (400, VALIDATION, "validation.msg.some.new.rule"),
    (403, DOMAIN_RULE, "error.msg.some.new.rule"),
    (403, DOMAIN_RULE, DOMAIN_RULE),
]
"""Of a kind that is documented, for a reason that is not."""

SYSTEM_FAULTS = [
    (403, "error.msg.not.authorized", "error.msg.not.authorized"),
    (401, "error.msg.not.authenticated", "error.msg.not.authenticated"),
    (400, VALIDATION, "error.msg.query.parameter.value.unsupported"),
    (400, VALIDATION, "error.msg.parameter.unsupported"),
    (400, VALIDATION, "validation.msg.missing.dateFormat.parameter"),
    (400, VALIDATION, "validation.msg.missing.locale.parameter"),
    (400, VALIDATION, "validation.msg.invalid.locale.format"),
    (401, "error.msg.invalid.tenant.identifier", "error.msg.invalid.tenant.identifier"),
    (405, "error.msg.invalid.instance.type", "error.msg.invalid.instance.type"),
]
BUSY = [
    (503, "error.msg.platform.service.unavailable", "error.msg.some.new.rule"),
    (
        503,
        "error.msg.platform.service.unavailable",
        "error.msg.sheduler.job.currently.running",
    ),
]

DUPLICATES = [
    (400, VALIDATION, f"{TRANSACTION}.externalId.value.must.be.unique"),
    (
        403,
        "error.msg.loan.repayment.duplicate.externalId",
        "error.msg.loan.repayment.duplicate.externalId",
    ),
    (
        403,
        "error.msg.loan.repayment.unknown.data.integrity.issue",
        "error.msg.loan.repayment.unknown.data.integrity.issue",
    ),
    (403, "error.msg.data.integrity.issue", "error.msg.data.integrity.issue"),
]
