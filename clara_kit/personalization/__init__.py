"""Who the customer is and what Clara is told of them. Pure, but for `shopify.py` with its HTTP and the cache."""
