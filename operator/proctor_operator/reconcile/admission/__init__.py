"""The rules of admission: what is stamped, what stays, and who may ask for what."""
