"""Tools for services: limits, batches, groups, an orderly stop."""
