{{ file_payments('RAW_DMI_PAYMENT_CSV') }}
