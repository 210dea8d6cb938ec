{{ file_payments('RAW_UGRO_NACH_CSV') }}
