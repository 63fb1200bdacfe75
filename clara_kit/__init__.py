"""Clara kit: where the conversation of a video avatar is designed, measured and heard.

The public names stand in `__init__.pyi`. Nothing is computed here, and each module loads when its first name is used.
"""

import sys

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

# In a kernel a table is for a reader. Whoever only computes has no kernel, and loads nothing here.
if (_kernel := getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()) is not None:
    from clara_kit.lab.sheet import show_frames

    show_frames(_kernel)
