"""What the shop's application needs of the kit in any language, and by what a port of the decisions proves itself."""
