"""Many clients at once for the two servers, slow and hostile ones among them."""
