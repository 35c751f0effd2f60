"""The only places that know a client library."""
