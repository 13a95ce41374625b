"""What a service needs: limits, batches, groups, an orderly end."""
