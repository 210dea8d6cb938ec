{{ file_payments('RAW_SHIVALIK_NACH_CSV') }}
