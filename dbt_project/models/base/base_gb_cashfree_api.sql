{{ cashfree_payments('RAW_GB_CASHFREE_API') }}
