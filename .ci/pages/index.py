def index(ran, assets, *, when):
    from pages.page import shell
    return shell("Clara kit", "<h1>x</h1>", assets, when=when, mix="", before=None, after=None)
