"""Jobs that survive whatever happens: a store of items, and what draws them."""
