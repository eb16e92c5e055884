# The kernel subset: every [K] module linked into one Windows driver image.
