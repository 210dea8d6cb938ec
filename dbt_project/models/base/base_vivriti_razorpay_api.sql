{{ razorpay_payments('RAW_VIVRITI_RAZORPAY_API') }}
