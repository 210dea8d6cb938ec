{{ file_payments('RAW_VIVRITI_PAYMENT_CSV') }}
