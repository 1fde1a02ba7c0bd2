"""Hub models: what is known of each, how it is fetched, checked, placed in memory and called."""
