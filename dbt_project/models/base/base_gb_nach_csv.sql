{{ file_payments('RAW_GB_NACH_CSV') }}
