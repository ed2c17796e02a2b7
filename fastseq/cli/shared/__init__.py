"""What several verbs share: options, and what is read for them."""
