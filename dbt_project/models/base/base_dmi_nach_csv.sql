{{ file_payments('RAW_DMI_NACH_CSV') }}
