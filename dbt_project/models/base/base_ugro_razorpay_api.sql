{{ razorpay_payments('RAW_UGRO_RAZORPAY_API') }}
