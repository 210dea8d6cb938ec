{{ file_payments('RAW_GB_PAYMENT_CASHFREE') }}
