{{ file_payments('RAW_SHIVALIK_PAYMENT_CSV') }}
