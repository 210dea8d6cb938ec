"""`./run webhooks`: the webhook receiver alone, as `up` starts it.

What belongs here: the command. What does not: serving (`receiver`).
"""

from repayment_platform.commands.platform import settings_told


def webhooks() -> None:
    """Receive Razorpay's and Cashfree's webhooks on WEBHOOK_PORT until Ctrl-C."""
    from repayment_platform.commands.receiver import serve

    serve(settings_told())
