"""Clara kit: where the conversation of a video avatar is designed, measured and heard.

The public names stand in `__init__.pyi`. Nothing is computed here, and each module loads when its first name is used.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
