{{ file_payments('RAW_ARTHMATE_NACH_CSV') }}
