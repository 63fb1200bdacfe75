"""The former name of the desk, until the next release."""

from clara_kit.widgets.desk import Desk as Console

__all__ = ["Console"]
