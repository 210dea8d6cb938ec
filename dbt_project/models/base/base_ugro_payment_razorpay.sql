{{ file_payments('RAW_UGRO_PAYMENT_RAZORPAY') }}
