{{ file_payments('RAW_UGRO_PAYMENT_RAZORPAY', refund_id_in='entity_id', refunded_in='amount_refunded') }}
