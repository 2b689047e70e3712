"""Long documents: work that outlives the process that began it."""
