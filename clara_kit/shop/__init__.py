"""What the shop knows of a customer: asked of Shopify, cleaned, kept for a day. `fetcher.py` is the door."""
