"""What NPCI's reason codes for ACH debits mean.

What belongs here: the code table (NPCI circular 274 of 2018 and its later additions). What
does not: reading rows, deciding on bounce charges. Many public tables have code 01 wrong;
this one follows the circular. US `R01` codes are another system.
"""

import re

_RETURNS = {
    "01": "account closed",
    "02": "no such account",
    "03": "account description does not tally",
    "04": "balance insufficient",
    "05": "not arranged for",
    "06": "payment stopped by drawer",
    "07": "payment stopped under court order",
    "08": "mandate not received",
    "09": "miscellaneous",
    "11": "invalid IFSC or MICR code",
    "12": "mandate frequency mismatch",
    "13": "duplicate transaction",
    "14": "mandate expired",
    "15": "amount mismatch with mandate",
    "16": "name mismatch",
    "17": "returned as per customer request",
    "51": "KYC documents pending",
    "52": "documents pending for account holder turning major",
    "53": "account inoperative",
    "54": "dormant account",
    "55": "account in zero balance",
    "56": "small account",
    "57": "amount exceeds limit per transaction",
    "58": "account reached maximum debit limit",
    "59": "network failure (CBS)",
    "60": "account holder expired",
    "61": "mandate cancelled",
    "68": "account blocked or frozen",
    "69": "customer insolvent",
    "70": "refer to the branch",
}
_REJECTS = {
    "21": "invalid UMRN or inactive mandate",
    "22": "mandate not valid for debit transaction",
    "23": "mismatch of mandate debtor account number",
    "24": "mismatch of mandate debtor bank",
    "25": "mismatch of mandate currency",
    "26": "amount exceeds mandate maximum amount",
    "27": "mandate amount mismatch",
    "28": "date is before mandate start date",
    "29": "date is after mandate end date",
    "30": "mandate user number mismatch",
    "31": "duplicate reference number",
    "32": "invalid date",
    "33": "item unwound",
    "34": "invalid amount",
    "72": "item cancelled",
    "73": "settlement failed",
    "74": "invalid file format",
    "75": "transaction cancelled by user",
    "94": "amount is zero",
}

CODES: dict[str, tuple[str, str]] = {
    "00": ("success", "accepted"),
    **{f"{code}": ("reject", "technical reject") for code in (*range(76, 98), 99)},
    **{code: ("reject", text) for code, text in _REJECTS.items()},
    **{code: ("return", text) for code, text in _RETURNS.items()},
    "98": ("pending", "bank extension case"),
}
"""Code to outcome word (as in `layouts.Outcome`) and meaning. A return is a bounce: the bank
refused it. A reject never reached the bank. 98 is settled by a later file."""

CODE_OF_TEXT: dict[str, str] = {
    re.sub(r"[^a-z0-9]", "", text.lower()): code
    for code, (_, text) in CODES.items()
    if text != "technical reject"
} | {"insufficientbalance": "04", "insufficientfunds": "04", "exceedsarrangement": "05"}
"""Reason text on letters and digits to code, for files that send the text alone."""

_CODE = re.compile(r"[0-9]{1,2}(?:\.0)?")
_CODE_AT_END = re.compile(r"[A-Za-z)]\s*/\s*([0-9]{1,2})$")


def code_in(text: str | None) -> str | None:
    """The two-digit code that a cell holds: `4`, `04`, `Balance Insufficient / 04`,
    `ACCEPTED(1)/0`, or a reason text alone; None where it holds none."""
    if text is None:
        return None
    if _CODE.fullmatch(text):
        return text.removesuffix(".0").zfill(2)
    inside = _CODE_AT_END.search(text)
    if inside:
        return inside[1].zfill(2)
    return CODE_OF_TEXT.get(re.sub(r"[^a-z0-9]", "", text.lower()))
