"""Who the customer is and what Clara is told of them. Pure, but for `shopify.py`, the only module here with HTTP."""
