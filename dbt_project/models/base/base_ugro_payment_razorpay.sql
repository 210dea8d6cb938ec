{{ file_payments('RAW_UGRO_PAYMENT_RAZORPAY', refunded_in='amount_refunded') }}
