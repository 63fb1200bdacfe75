"""The twin of this vendor. `ShopifyTwin` is the door."""

from clara_kit.world.twins.shopify.twin import ShopifyTwin

__all__ = ["ShopifyTwin"]
