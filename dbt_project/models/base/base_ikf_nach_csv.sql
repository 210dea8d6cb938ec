{{ file_payments('RAW_IKF_NACH_CSV') }}
