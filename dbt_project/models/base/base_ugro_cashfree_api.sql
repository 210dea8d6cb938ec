{{ cashfree_payments('RAW_UGRO_CASHFREE_API') }}
